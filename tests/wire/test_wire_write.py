import json
from datetime import UTC, datetime

from funnel.core.query import Page
from funnel.core.state import State
from funnel.core.task import (
    Executor,
    ExecutorLog,
    FileType,
    Input,
    Output,
    OutputFileLog,
    Resources,
    Task,
    TaskId,
    TaskLog,
)
from funnel.wire.json import write_page, write_task

AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
STEP = Executor(image="alpine", command=("true",))
BARE = Task(id=TaskId("t1"), state=State.QUEUED)


def written(task: Task) -> object:
    return json.loads(write_task(task))


def test_minimal_is_id_and_state_and_nothing_else() -> None:
    assert write_task(BARE) == b'{"id":"t1","state":"QUEUED"}'


def test_what_is_absent_or_at_its_default_is_left_out() -> None:
    task = Task(
        id=TaskId("t1"),
        state=State.QUEUED,
        executors=(STEP,),
        resources=Resources(),
        creation_time=AT,
        tags={},
    )
    assert written(task) == {
        "id": "t1",
        "state": "QUEUED",
        "executors": [{"image": "alpine", "command": ["true"]}],
        "creation_time": "2026-01-02T03:04:05Z",
    }


def test_the_type_of_a_file_is_always_there() -> None:
    task = Task(
        id=TaskId("t1"),
        state=State.QUEUED,
        inputs=(Input(path="/i", url="u"),),
        outputs=(Output(path="/o", url="u", type=FileType.DIRECTORY),),
    )
    assert written(task) == {
        "id": "t1",
        "state": "QUEUED",
        "inputs": [{"path": "/i", "url": "u", "type": "FILE"}],
        "outputs": [{"path": "/o", "url": "u", "type": "DIRECTORY"}],
    }


def test_integers_are_integers_and_sizes_are_text() -> None:
    log = TaskLog(
        logs=(ExecutorLog(exit_code=0, start_time=AT, end_time=AT, stdout="x"),),
        outputs=(OutputFileLog(url="u", path="/o", size_bytes="5000000000"),),
        start_time=AT,
    )
    task = Task(id=TaskId("t1"), state=State.RUNNING, resources=Resources(cpu_cores=2), logs=(log,))
    assert written(task) == {
        "id": "t1",
        "state": "RUNNING",
        "resources": {"cpu_cores": 2},
        "logs": [
            {
                "logs": [
                    {
                        "start_time": "2026-01-02T03:04:05Z",
                        "end_time": "2026-01-02T03:04:05Z",
                        "exit_code": 0,
                        "stdout": "x",
                    }
                ],
                "outputs": [{"url": "u", "path": "/o", "size_bytes": "5000000000"}],
                "start_time": "2026-01-02T03:04:05Z",
            }
        ],
    }
    assert b'"cpu_cores":2}' in write_task(task)


def test_an_exit_code_is_always_there() -> None:
    log = TaskLog(logs=(ExecutorLog(exit_code=0), ExecutorLog()), outputs=())
    task = Task(id=TaskId("t1"), state=State.RUNNING, logs=(log,))
    assert written(task) == {
        "id": "t1",
        "state": "RUNNING",
        "logs": [{"logs": [{"exit_code": 0}, {"exit_code": -1}], "outputs": []}],
    }


def test_the_lists_of_a_log_are_always_there() -> None:
    task = Task(id=TaskId("t1"), state=State.QUEUED, logs=(TaskLog(logs=(), outputs=()),))
    assert write_task(task) == (b'{"id":"t1","state":"QUEUED","logs":[{"logs":[],"outputs":[]}]}')


def test_a_page_always_has_its_list_and_no_token_when_it_is_the_last() -> None:
    assert write_page(Page(())) == b'{"tasks":[]}'
    assert write_page(Page((BARE,), "next")) == (
        b'{"tasks":[{"id":"t1","state":"QUEUED"}],"next_page_token":"next"}'
    )


def test_tasks_on_a_page_are_written_as_they_are_alone() -> None:
    log = TaskLog(logs=(ExecutorLog(),), outputs=())
    running = Task(id=TaskId("t2"), state=State.RUNNING, logs=(log,), resources=Resources())
    page = json.loads(write_page(Page((BARE, running))))
    assert page == {"tasks": [written(BARE), written(running)]}
