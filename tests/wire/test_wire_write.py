import json
from datetime import UTC, datetime

import pytest
from msgspec import Raw
from msgspec import json as fast

from funnel.core.query import Listing, Page
from funnel.core.state import State
from funnel.core.task import (
    Executor,
    ExecutorLog,
    FileType,
    Input,
    Output,
    OutputFileLog,
    Resources,
    Spec,
    Task,
    TaskId,
    TaskLog,
)
from funnel.wire.document import (
    Kept,
    read_page,
    read_task,
    without_contents,
    write_listing,
    write_task,
)
from funnel.wire.json import read_spec

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
WHEN = "2026-01-02T03:04:05Z"
STEP = Executor(image="alpine", command=("true",))
T1 = TaskId("t1")
BARE = b'{"id":"t1","state":"QUEUED"}'


def kept(spec: Spec) -> Kept:
    return Kept(at=Raw(fast.encode(AT)), spec=Raw(fast.encode(spec)))


def document(spec: Spec, *logs: TaskLog, state: State = State.QUEUED) -> bytes:
    return write_task(kept(spec), T1, state, logs)


def test_what_is_absent_or_at_its_default_is_left_out() -> None:
    assert json.loads(document(Spec(executors=(STEP,), tags={}))) == {
        "executors": [{"image": "alpine", "command": ["true"]}],
        "id": "t1",
        "state": "QUEUED",
        "logs": [],
        "creation_time": WHEN,
    }


def test_resources_at_their_defaults_are_none_at_all() -> None:
    spec = read_spec(b'{"executors": [], "resources": {"cpu_cores": 0}}')
    assert json.loads(document(spec)) == {
        "id": "t1",
        "state": "QUEUED",
        "logs": [],
        "creation_time": WHEN,
    }


def test_the_type_of_a_file_is_always_there() -> None:
    spec = Spec(
        inputs=(Input(path="/i", url="u"),),
        outputs=(Output(path="/o", url="u", type=FileType.DIRECTORY),),
    )
    task = json.loads(document(spec))
    assert task["inputs"] == [{"path": "/i", "url": "u", "type": "FILE"}]
    assert task["outputs"] == [{"path": "/o", "url": "u", "type": "DIRECTORY"}]


def test_integers_are_integers_and_sizes_are_text() -> None:
    log = TaskLog(
        logs=(ExecutorLog(exit_code=0, start_time=AT, end_time=AT, stdout="x"),),
        outputs=(OutputFileLog(url="u", path="/o", size_bytes="5000000000"),),
        start_time=AT,
    )
    written = document(Spec(resources=Resources(cpu_cores=2)), log, state=State.RUNNING)
    assert json.loads(written) == {
        "resources": {"cpu_cores": 2},
        "id": "t1",
        "state": "RUNNING",
        "logs": [
            {
                "logs": [{"start_time": WHEN, "end_time": WHEN, "exit_code": 0, "stdout": "x"}],
                "outputs": [{"url": "u", "path": "/o", "size_bytes": "5000000000"}],
                "start_time": WHEN,
            }
        ],
        "creation_time": WHEN,
    }
    assert b'"cpu_cores":2}' in written


def test_an_exit_code_is_always_there() -> None:
    log = TaskLog(logs=(ExecutorLog(exit_code=0), ExecutorLog()), outputs=())
    (written,) = json.loads(document(Spec(), log))["logs"]
    assert written == {"logs": [{"exit_code": 0}, {"exit_code": -1}], "outputs": []}


def test_the_lists_of_a_log_are_always_there() -> None:
    assert json.loads(document(Spec(), TaskLog(logs=(), outputs=())))["logs"] == [
        {"logs": [], "outputs": []}
    ]


SPECS = (
    Spec(),
    Spec(name='"é\n\u2028', executors=(STEP,), tags={"a": "\\"}),
    Spec(inputs=(Input(path="/i", content="}],", description='"content"'),)),
)


@pytest.mark.parametrize("spec", SPECS)
def test_what_is_written_is_read_back(spec: Spec) -> None:
    logs = (TaskLog(logs=(ExecutorLog(exit_code=0), ExecutorLog()), outputs=(), start_time=AT),)
    read = read_task(document(spec, *logs, state=State.RUNNING))
    assert read == Task(
        name=spec.name,
        executors=spec.executors,
        inputs=spec.inputs,
        tags=spec.tags,
        id=T1,
        state=State.RUNNING,
        logs=logs,
        creation_time=AT,
    )


def test_contents_can_be_left_out_and_nothing_else_goes() -> None:
    inputs = (Input(path="/i", content="xyz", name="n"), Input(path="/j", url="/u"))
    lean = without_contents(kept(Spec(name="n", inputs=inputs)))
    assert read_task(write_task(lean, T1, State.QUEUED, ())).inputs == (
        Input(path="/i", name="n"),
        inputs[1],
    )
    bare = kept(Spec(name="contents"))
    assert without_contents(bare) is bare


def test_a_page_always_has_its_list_and_no_token_when_it_is_the_last() -> None:
    assert write_listing(Listing()) == b'{"tasks":[]}'
    assert write_listing(Listing(BARE, "next")) == (
        b'{"tasks":[{"id":"t1","state":"QUEUED"}],"next_page_token":"next"}'
    )


def test_tasks_on_a_page_are_read_as_they_are_alone() -> None:
    documents = (BARE, document(Spec(name="n"), state=State.RUNNING))
    page = read_page(Listing(b",".join(documents), "next"))
    assert page == Page(tuple(read_task(one) for one in documents), "next")
