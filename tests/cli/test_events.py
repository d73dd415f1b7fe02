"""Following events, at our server and at others that know TES and nothing else."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from board import Board, plain
from calling import Call, Process

from funnel.cli.events.follow import line
from funnel.client.events import News
from funnel.core.event import Requeued
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.testing.build import EPOCH, logged

TASK = json.dumps({"name": "first", "executors": [{"image": "alpine", "command": ["true"]}]})


@pytest.fixture
def board(tmp_path: Path, call: Call) -> Iterator[Board]:
    opened = Board(tmp_path)
    opened.open()
    call.at(opened.port)
    yield opened
    opened.close()


def heard(board: Board) -> None:
    """Return when somebody listens."""
    end = time.monotonic() + 30
    url = f"http://127.0.0.1:{board.port}/metrics"
    while "funnel_http_waiting 1.0" not in httpx.get(url).text:
        assert time.monotonic() < end
        time.sleep(0.05)


def test_the_events_of_a_task_are_told_to_its_end(call: Call, board: Board) -> None:
    (made,) = call("task", "create", stdin=TASK).lines
    following = Process(board.port, "events", "follow", "--task", made, "--output", "table")
    assert following.line().split()[1:] == [made, "created", "first"]
    board.started(made)
    assert following.line().split()[1:] == [made, "state", "RUNNING"]
    assert following.line().split()[2:] == ["executor", "0", "started"]
    board.happen(logged(TaskId(made), "a\r\nforged\x1b[2J\x9b"))
    assert following.line().endswith("info      a\ufffd\ufffdforged\ufffd[2J\ufffd")
    board.happen(Requeued(TaskId(made), EPOCH, "node lost"))
    assert following.line().split()[2:] == ["again", "node", "lost"]
    board.started(made)
    board.ended(made, State.EXECUTOR_ERROR, code=3)
    answer = following.end()
    assert (answer.code, answer.err) == (0, "")
    assert [one.split(maxsplit=2)[2] for one in answer.lines] == [
        "state     RUNNING",
        "executor  0 started",
        "executor  0 exited with 3",
        "state     EXECUTOR_ERROR",
    ]


def test_the_events_of_all_are_told_from_now_on(call: Call, board: Board) -> None:
    call("task", "create", stdin=TASK)
    following = Process(board.port, "events", "follow")
    heard(board)
    (made,) = call("task", "create", stdin=TASK).lines
    first = json.loads(following.line())
    assert (first["kind"], first["task_id"], first["spec"]["name"]) == ("created", made, "first")
    board.ended(made, State.CANCELED)
    second = json.loads(following.line())
    assert (second["kind"], second["state"]) == ("statechanged", "CANCELED")
    following.interrupt()
    assert following.end().code == 130
    again = Process(board.port, "events", "follow", "--after", first["id"])
    assert json.loads(again.line()) == second
    again.interrupt()
    again.end()


def test_no_task_has_no_events(call: Call, board: Board) -> None:
    assert board.port
    answer = call("events", "follow", "--task", "none")
    assert (answer.code, answer.out) == (1, "")
    assert "no task none" in answer.err


def test_of_another_server_one_hears_states_and_nothing_of_all(tmp_path: Path, call: Call) -> None:
    board = Board(tmp_path, plain)
    board.open()
    try:
        call.at(board.port)
        (made,) = call("task", "create", stdin=TASK).lines
        board.ended(made, State.COMPLETE)
        assert "COMPLETE" in call("events", "follow", "--task", made).out
        answer = call("events", "follow")
        assert answer.code == 1
        assert "cannot tell what happens" in answer.err
    finally:
        board.close()


def test_what_is_not_known_is_shown_as_it_is() -> None:
    told = News("1", "novelty", {"kind": "novelty", "task_id": "t1", "what": "\x1b"})
    assert line(told).split() == ["t1", "novelty", "what='\\x1b'"]
