"""Waiting and following, at our server and at others that know TES and nothing else."""

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from board import Board, plain, strict, unchanged
from calling import Call, Process

from funnel.core.container import Stream
from funnel.core.event import Requeued
from funnel.core.state import State
from funnel.core.task import TaskId
from funnel.testing.build import EPOCH, logged

TASK = json.dumps({"executors": [{"image": "alpine", "command": ["true"]}]})
ROUTE = 'route="/tasks/{id}/events"'


@pytest.fixture(params=[unchanged, plain, strict])
def board(request: pytest.FixtureRequest, tmp_path: Path, call: Call) -> Iterator[Board]:
    opened = Board(tmp_path, request.param)
    opened.open()
    call.at(opened.port)
    yield opened
    opened.close()


def streams(board: Board) -> bool:
    """Whether somebody has heard a stream of events of this server."""
    return ROUTE in httpx.get(f"http://127.0.0.1:{board.port}/metrics").text


def test_a_wait_ends_with_its_task(call: Call, board: Board) -> None:
    good, bad = call("task", "create", stdin=TASK * 2).lines
    waiting = Process(board.port, "task", "wait", good, bad)
    board.started(good)
    board.ended(good, State.COMPLETE)
    board.ended(bad, State.CANCELED)
    answer = waiting.end()
    assert (answer.code, answer.out) == (1, "")
    assert answer.err == f"Error: Task {bad} exited with state CANCELED\n"


def test_a_wait_for_no_task_fails_at_once(call: Call, board: Board) -> None:
    assert board.port
    for words in (("task", "wait", "none"), ("task", "logs", "--follow", "none")):
        answer = call(*words)
        assert answer.code == 1
        assert "no task none" in answer.err


def test_a_log_is_followed_to_its_end_over_attempts(call: Call, board: Board) -> None:
    (made,) = call("task", "create", stdin=TASK).lines
    following = Process(board.port, "task", "logs", "--follow", "--system", "--stdout", made)
    board.started(made)
    board.printed(made, "one\n")
    assert following.line() == "one"
    board.printed(made, "not asked for\n", stream=Stream.STDERR)
    board.happen(logged(TaskId(made), "word"), Requeued(TaskId(made), EPOCH, "node lost"))
    assert "msg='word'" in following.line()
    board.started(made)
    board.printed(made, "again\n")
    assert following.line() == "again"
    board.ended(made, State.COMPLETE, code=0)
    answer = following.end()
    assert (answer.code, answer.out, answer.err) == (0, "", "")
    assert streams(board) is (board.kind is unchanged)


def test_what_came_faster_than_it_is_kept_is_said_to_be_missing(call: Call, board: Board) -> None:
    (made,) = call("task", "create", stdin=TASK).lines
    following = Process(board.port, "task", "logs", "--follow", made)
    board.started(made)
    board.printed(made, "first\n", keep=6)
    assert following.line() == "first"
    board.printed(made, "late!\n", start=100, keep=6)
    assert following.line() == "late!"
    board.ended(made, State.COMPLETE, code=0)
    assert "some output is missing here" in following.end().err


def test_run_wait_shows_what_is_printed_and_exits_as_the_command_did(board: Board) -> None:
    running = Process(board.port, "run", "exit 3", "--wait")
    made = running.line()
    board.started(made)
    board.printed(made, "hello\n")
    assert running.error_line() == "hello"
    board.ended(made, State.EXECUTOR_ERROR, code=3)
    answer = running.end()
    assert (answer.code, answer.out) == (3, "")
    assert answer.err == f"Task {made} exited with state EXECUTOR_ERROR\n"
