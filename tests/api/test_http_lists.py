"""Pages and filters of lists."""

import httpx
import pytest
from asking import create, listed, page

from funnel.core.event import Batch, StateChanged
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.ports import Database
from funnel.testing.build import EPOCH


async def move(database: Database, task_id: str, state: State) -> None:
    moved = StateChanged(TaskId(task_id), EPOCH, state)
    await database.append(Batch(task_id=moved.task_id, events=(moved,)))


async def test_a_fresh_server_has_an_empty_list(http: httpx.AsyncClient) -> None:
    assert await page(http) == {"tasks": []}


async def test_pages_follow_each_other_from_newest_to_oldest(http: httpx.AsyncClient) -> None:
    made = [await create(http) for _ in range(7)]
    seen: list[str] = []
    token, pages = "", 0
    while pages == 0 or token:
        found = await page(http, f"page_size=3&page_token={token}")
        seen += [task["id"] for task in found["tasks"]]
        token, pages = found.get("next_page_token", ""), pages + 1
    assert seen == made[::-1]
    assert pages == 3


@pytest.mark.parametrize("size", ["0", "-5", "5000", "99999999999999999999", "%2B7"])
async def test_any_integer_is_a_page_size(http: httpx.AsyncClient, size: str) -> None:
    made = await create(http)
    assert await listed(http, f"page_size={size}") == [made]


async def test_page_sizes_have_a_default_and_a_top(http: httpx.AsyncClient) -> None:
    for _ in range(258):
        await create(http)
    assert len(await listed(http)) == 256
    assert len(await listed(http, "page_size=0")) == 256
    assert len(await listed(http, "page_size=2048")) == 258
    assert len(await listed(http, "pageSize=1")) == 1


async def test_tasks_are_found_by_state(http: httpx.AsyncClient, database: Database) -> None:
    one, two, three = [await create(http) for _ in range(3)]
    await move(database, one, State.COMPLETE)
    await move(database, two, State.COMPLETE)
    await move(database, three, State.CANCELED)
    assert await listed(http, "state=COMPLETE") == [two, one]
    assert await listed(http, "state=5") == [two, one]
    assert await listed(http, "state=CANCELED") == [three]
    assert await listed(http, "state=8") == [three]
    assert await listed(http, "state=PREEMPTED") == []
    for everything in ("", "state=", "state=UNKNOWN", "state=0"):
        assert await listed(http, everything) == [three, two, one]


async def test_tasks_are_found_by_the_beginning_of_their_name(http: httpx.AsyncClient) -> None:
    one = await create(http, name="snake%_job")
    two = await create(http, name="snake")
    assert await listed(http, "name_prefix=snake") == [two, one]
    assert await listed(http, "namePrefix=snake%25_") == [one]
    assert await listed(http, "name_prefix=job") == []


@pytest.mark.parametrize(
    ("asked", "has", "match"),
    [
        ("tag_key=foo&tag_value=bar", {"foo": "bar"}, True),
        ("tag_key=foo&tag_value=bar", {"foo": "bat"}, False),
        ("tag_key=foo&tag_value=", {"foo": ""}, True),
        ("tag_key=foo&tag_key=baz&tag_value=bar&tag_value=bat", {"foo": "bar", "baz": "bat"}, True),
        ("tag_key=foo&tag_value=bar", {"foo": "bar", "baz": "bat"}, True),
        ("tag_key=foo&tag_key=baz&tag_value=bar&tag_value=bat", {"foo": "bar"}, False),
        ("tag_key=foo", {"foo": "bar"}, True),
        ("tag_key=foo", {}, False),
        ("tagKey=foo&tagValue=bar", {"foo": "bar"}, True),
        ("tag_value=bar", {"foo": "bar"}, True),
        ("tag_key=foo&tag_value=bar&tag_value=more", {"foo": "bar"}, True),
        ("tag_key=foo&tag_value=x&tag_key=foo&tag_value=bar", {"foo": "bar"}, True),
        ("tag_key=baz&tag_value=bat&tag_key=foo", {"foo": "bar", "baz": "bat"}, True),
    ],
)
async def test_tags_match_by_the_truth_table(
    http: httpx.AsyncClient, asked: str, has: dict[str, str], *, match: bool
) -> None:
    made = await create(http, tags=has)
    for view in ("MINIMAL", "BASIC", "FULL"):
        assert await listed(http, f"{asked}&view={view}") == ([made] if match else [])


async def test_all_filters_must_match(http: httpx.AsyncClient, database: Database) -> None:
    one, two, three = [
        await create(http, name="n", tags=tags)
        for tags in ({"foo": "bar"}, {"foo": "bar", "hello": "world"}, {"fizz": "buzz"})
    ]
    for done in (one, two):
        await move(database, done, State.COMPLETE)
    await move(database, three, State.CANCELED)
    foo, hello = "tag_key=foo&tag_value=bar", "tag_key=hello&tag_value=world"
    assert await listed(http, f"state=COMPLETE&{foo}") == [two, one]
    assert await listed(http, f"state=COMPLETE&{hello}&name_prefix=n") == [two]
    assert await listed(http, f"state=COMPLETE&{hello}&name_prefix=x") == []
    assert await listed(http, f"state=CANCELED&{hello}") == []
    assert await listed(http, "state=CANCELED&tag_key=fizz&tag_value=buzz") == [three]


@pytest.mark.parametrize(
    ("query", "field", "message"),
    [
        ("view=full", "view", "'full' is not a view, did you mean FULL?"),
        ("view=X", "view", "'X' is not a view, expected one of MINIMAL, BASIC, FULL"),
        ("state=complete", "state", "'complete' is not a state, did you mean COMPLETE?"),
        ("state=11", "state", "'11' is not a state, expected one of UNKNOWN, QUEUED, "),
        ("page_size=", "page_size", "expected an integer, got ''"),
        ("page_size=ten", "page_size", "expected an integer, got 'ten'"),
        ("page_size=1.5", "page_size", "expected an integer, got '1.5'"),
        ("page_size=1_0", "page_size", "expected an integer, got '1_0'"),
    ],
)
async def test_a_wrong_parameter_is_named(
    http: httpx.AsyncClient, query: str, field: str, message: str
) -> None:
    answer = await http.get(f"/v1/tasks?{query}")
    assert answer.status_code == 400
    (problem,) = answer.json()["problems"]
    assert problem["field"] == field
    assert problem["message"].startswith(message)
    assert answer.json()["error"] == f"{field}: {problem['message']}"


async def test_all_wrong_parameters_are_named_at_once(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/tasks?view=x&state=y&page_size=z")
    assert [one["field"] for one in answer.json()["problems"]] == ["view", "state", "page_size"]


async def test_a_token_of_others_is_refused(http: httpx.AsyncClient) -> None:
    answer = await http.get("/v1/tasks?page_token=%00nonsense")
    assert (answer.status_code, answer.json()["code"]) == (400, "INVALID_ARGUMENT")


async def test_a_view_of_one_task_must_be_known(http: httpx.AsyncClient) -> None:
    made = await create(http)
    assert (await http.get(f"/v1/tasks/{made}?view=NONE")).status_code == 400
