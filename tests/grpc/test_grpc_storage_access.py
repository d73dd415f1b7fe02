"""Files that a caller may not reach are refused by both doors, before anything is kept."""

import pytest
from doors import tasks_of
from google.protobuf.json_format import ParseDict
from rpc import Both, Outcome, both_doors, over_grpc, over_http

from funnel.core.query import Query
from funnel.core.storageaccess import Rule, StorageRules, prefix_of
from funnel.ports import Database
from funnel.testing.build import EVERYONE
from funnel.wire.gen import tes_pb2 as pb

RULES = StorageRules((Rule(users=frozenset({"*"}), read=(prefix_of("s3://lab/"),)),))
STEP = {"image": "alpine", "command": ["true"]}


@pytest.mark.parametrize(
    ("field", "files"),
    [
        (
            "inputs[1].url",
            {
                "inputs": [
                    {"path": "/a", "url": "s3://lab/a"},
                    {"path": "/b", "url": "s3://other/b"},
                ]
            },
        ),
        ("outputs[0].url", {"outputs": [{"path": "/a", "url": "s3://lab/a"}]}),
        ("inputs[0].url", {"inputs": [{"path": "/a", "url": "ftp://ann:swordfish@host/a"}]}),
    ],
)
async def test_a_refused_file_is_named_and_nothing_is_kept(
    database: Database, field: str, files: dict[str, object]
) -> None:
    async with both_doors(database, tasks_of(database, storage=RULES)) as both:
        for outcome in await created(both, {"executors": [STEP], **files}):
            assert outcome.code == "PERMISSION_DENIED"
            assert outcome.text.startswith(f"{field}: a task of nobody may not ")
            assert "StorageAccess.Rules" in outcome.text
            assert "swordfish" not in outcome.text
    assert (await database.list_tasks(Query(scope=EVERYONE))).documents == b""


async def test_what_a_rule_allows_is_taken(database: Database) -> None:
    async with both_doors(database, tasks_of(database, storage=RULES)) as both:
        files = {"inputs": [{"path": "/a", "url": "s3://lab/a"}, {"path": "/c", "content": "x"}]}
        for outcome in await created(both, {"executors": [STEP], **files}):
            assert outcome.code == "OK"


async def created(both: Both, task: dict[str, object]) -> list[Outcome]:
    return [
        over_http(await both.http.post("/v1/tasks", json=task)),
        await over_grpc(both.tes.CreateTask(ParseDict(task, pb.Task()))),
    ]
