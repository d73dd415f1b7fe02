import base64
import json
from pathlib import Path
from typing import Any

import pytest
from board import Board
from calling import Call, Process

from funnel.core.container import Stream
from funnel.core.state import State
from funnel.database import search

TASK = {"name": "t", "executors": [{"image": "alpine", "command": ["true"]}]}


def text(**given: Any) -> str:
    return json.dumps({**TASK, **given})


@pytest.fixture(autouse=True)
def at_the_board(call: Call, board: Board) -> None:
    call.at(board.port)


def test_tasks_come_from_stdin_then_from_files(call: Call, tmp_path: Path, board: Board) -> None:
    (tmp_path / "c.json").write_text(text(name="c"))
    answer = call("task", "create", "c.json", stdin=text(name="a") + "\n" + text(name="b"))
    assert answer.code == 0
    assert [board.task(one).name for one in answer.lines] == ["a", "b", "c"]


def test_nothing_is_created_unless_all_are_valid(call: Call, tmp_path: Path) -> None:
    (tmp_path / "good.json").write_text(text())
    (tmp_path / "bad.json").write_text(text() + '{"name": "no executors"}')
    answer = call("task", "create", "good.json", "bad.json")
    assert answer.code == 1
    assert answer.err.startswith("Error: bad.json, task 2: ")
    assert "executors" in answer.err
    assert call("task", "list").json == {}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("{", "Error: standard input is not JSON: "),
        (
            '{"executors": [], "nmae": "x"}',
            "Error: standard input: nmae unknown field, did you mean",
        ),
        ("", "Error: no task given"),
        ("[" * 100_000, "Error: standard input is nested too deeply"),
        ("[]", "Error: standard input: "),
    ],
)
def test_what_is_no_task_is_refused(call: Call, content: str, says: str) -> None:
    answer = call("task", "create", stdin=content)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(says)


def test_a_file_that_is_not_there_is_named(call: Call) -> None:
    assert call("task", "create", "none.json").err.startswith(
        "Error: cannot read none.json: No such"
    )


def test_a_task_is_printed_in_the_reference_s_way(call: Call, board: Board) -> None:
    task = text(
        tags={"a_b": ""}, resources={"cpu_cores": 2}, inputs=[{"path": "/i", "content": "x"}]
    )
    (made,) = call("task", "create", stdin=task).lines
    board.started(made)
    board.printed(made, "hello\n")
    board.ended(made, State.COMPLETE, code=0)
    (shown,) = call("task", "get", made).documents
    assert shown["resources"] == {"cpuCores": 2}
    assert shown["tags"] == {"a_b": ""}
    assert shown["creationTime"].startswith("2026-01-01T00:00:00")
    (log,) = shown["logs"][0]["logs"]
    assert (log["exitCode"], log["stdout"]) == (0, "hello\n")
    assert "volumes" not in shown


def test_views_are_what_was_asked_for(call: Call) -> None:
    (made,) = call("task", "create", stdin=text(inputs=[{"path": "/i", "content": "x"}])).lines
    assert call("task", "get", made).json["inputs"][0]["content"] == "x"
    assert "content" not in call("task", "get", "-v", "BASIC", made).json["inputs"][0]
    assert call("task", "get", "--view", "Minimal", made).json == {"id": made, "state": "QUEUED"}
    (listed,) = call("task", "list").json["tasks"]
    assert "content" not in listed["inputs"][0]


def test_lists_are_filtered_and_paged(call: Call, board: Board) -> None:
    stdin = "".join(text(name=f"n{at}", tags={"at": str(at % 2)}) for at in range(5))
    made = call("task", "create", stdin=stdin).lines
    board.ended(made[0], State.CANCELED)
    first = call("task", "list", "-s", "2", "-v", "minimal").json
    assert [one["id"] for one in first["tasks"]] == made[:-3:-1]
    token = first["nextPageToken"]
    second = call("task", "list", "-s", "2", "--page-token", token, "-v", "minimal").json
    assert [one["id"] for one in second["tasks"]] == [made[2], made[1]]
    everything = call("task", "list", "--all", "-s", "2").json
    assert [one["id"] for one in everything["tasks"]] == made[::-1]
    assert "nextPageToken" not in everything

    def names(*words: str) -> list[str]:
        return [one["name"] for one in call("task", "list", *words).json.get("tasks", [])]

    assert names("--state", "canceled") == ["n0"]
    assert names("--tag", "at=1") == ["n3", "n1"]
    assert names("--name-prefix", "n4") == ["n4"]
    assert names("--state", "CANCELED", "--tag", "at=1") == []


def test_an_empty_page_that_is_not_the_last_is_not_shown(
    call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = call("task", "create", stdin=text(tags={"at": "1", "old": ""})).lines
    call("task", "create", stdin=text(tags={"at": "1"}) * 3 + text(tags={"old": ""}) * 3)
    monkeypatch.setattr(search, "SPAN", 1)
    monkeypatch.setattr(search, "WORK", 1)
    asked = ("task", "list", "--tag", "at=1", "--tag", "old=", "-s", "1")
    assert [one["id"] for one in call(*asked).json["tasks"]] == made
    assert call("task", "list", "--tag", "at=1", "--tag", "old=no", "-s", "1").json == {}


def test_people_get_a_table(call: Call, board: Board) -> None:
    made = call("task", "create", stdin=text(name="first") + text(name="bell\u0007\x1b[2J")).lines
    board.ended(made[0], State.COMPLETE)
    head, *rows = call("task", "list", "--output", "table").lines
    assert head.split() == ["ID", "STATE", "CREATED", "NAME"]
    assert [row.split()[:2] for row in rows] == [[made[1], "QUEUED"], [made[0], "COMPLETE"]]
    assert rows[0].endswith("bell\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}[2J")


def test_a_tag_without_a_value_is_refused(call: Call) -> None:
    assert "--tag needs KEY=VALUE, not 'x'" in call("task", "list", "--tag", "x").err


def test_cancel_goes_on_after_an_id_that_is_not_there(call: Call, board: Board) -> None:
    (made,) = call("task", "create", stdin=text()).lines
    answer = call("task", "cancel", "none", made)
    assert (answer.code, answer.out) == (1, "{}\n")
    assert answer.err.startswith("Error: ")
    assert "none" in answer.err
    assert board.task(made).state is State.CANCELED
    assert call("task", "cancel", made).code == 0


def test_delete_takes_only_what_has_ended(call: Call) -> None:
    over, queued = call("task", "create", stdin=text() * 2).lines
    call("task", "cancel", over)
    answer = call("task", "delete", over, queued, "none")
    assert (answer.code, answer.out) == (1, "{}\n")
    assert f"task {queued} is QUEUED" in answer.err
    assert "no task none" in answer.err
    assert "no task" in call("task", "get", over).err


def test_wait_waits_for_all_and_names_those_that_failed(call: Call, board: Board) -> None:
    good, bad, gone = call("task", "create", stdin=text() * 3).lines
    for one, state in ((bad, State.EXECUTOR_ERROR), (gone, State.CANCELED), (good, State.COMPLETE)):
        board.ended(one, state)
    assert call("task", "wait", good).code == 0
    answer = call("task", "wait", bad, gone, good)
    assert answer.code == 1
    assert answer.err == (
        f"Error: Task {bad} exited with state EXECUTOR_ERROR;"
        f" Task {gone} exited with state CANCELED\n"
    )


def test_wait_ends_when_the_last_task_ends(call: Call, board: Board) -> None:
    first, second = call("task", "create", stdin=text() * 2).lines
    waiting = Process(board.port, "task", "wait", first, second)
    board.ended(first, State.COMPLETE)
    board.ended(second, State.COMPLETE)
    assert waiting.end().code == 0


def test_logs_are_what_was_asked_for(call: Call, board: Board) -> None:
    (made,) = call("task", "create", stdin=text()).lines
    board.started(made)
    board.printed(made, "out\n")
    board.printed(made, "err\n", stream=Stream.STDERR)
    board.ended(made, State.SYSTEM_ERROR, error="the disk is full")

    def said(*words: str) -> tuple[str, str]:
        answer = call("task", "logs", *words, made)
        assert answer.code == 0
        return answer.out, answer.err

    assert said() == said("--executor", "0") == ("out\n", "err\n")
    assert said("--stdout") == ("out\n", "")
    assert said("--stderr") == ("", "err\n")
    assert said("--executor", "1") == ("", "")
    assert "the disk is full" in said("--system")[0]


def test_a_followed_log_is_whole_though_only_its_end_is_kept(call: Call, board: Board) -> None:
    (made,) = call("task", "create", stdin=text()).lines
    following = Process(board.port, "task", "logs", "--follow", made)
    board.started(made)
    at = 0
    for number in range(4):
        line = f"line {number}\n"
        board.printed(made, line, start=at, keep=20)
        at += len(line)
        assert following.line() == f"line {number}"
    board.ended(made, State.COMPLETE, code=0)
    answer = following.end()
    assert (answer.code, answer.out, answer.err) == (0, "", "")


def test_run_wait_says_why_the_system_failed(board: Board) -> None:
    running = Process(board.port, "run", "true", "--wait")
    made = running.line()
    board.ended(made, State.SYSTEM_ERROR, error="no image 'x'")
    answer = running.end()
    assert answer.code == 1
    assert answer.err == f"Task {made} exited with state SYSTEM_ERROR: no image 'x'\n"


def test_scattered_tasks_are_waited_for_together(tmp_path: Path, board: Board) -> None:
    (tmp_path / "lines").write_text("--tag at=1\n--tag at=2\n")
    running = Process(board.port, "run", "true", "--wait", "--scatter", str(tmp_path / "lines"))
    first, second = running.line(), running.line()
    board.ended(second, State.COMPLETE, code=0)
    board.started(first)
    board.ended(first, State.EXECUTOR_ERROR, code=7)
    answer = running.end()
    assert answer.code == 7
    assert [board.task(one).tags for one in (first, second)] == [{"at": "1"}, {"at": "2"}]


def test_who_stops_waiting_is_told_that_the_task_goes_on(board: Board) -> None:
    running = Process(board.port, "run", "sleep 100", "--wait")
    made = running.line()
    board.started(made)
    board.printed(made, "began\n")
    assert running.error_line() == "began"
    running.interrupt()
    answer = running.end()
    assert answer.code == 130
    assert answer.err == f"\nNot ended yet; stop with: funnel task cancel {made}\n\n"
    assert board.task(made).state is State.RUNNING


def test_run_waits_for_other_tasks_first_however_they_end(call: Call, board: Board) -> None:
    (before,) = call("task", "create", stdin=text()).lines
    running = Process(board.port, "run", "true", "--wait-for", before)
    board.ended(before, State.SYSTEM_ERROR)
    (made,) = running.end().lines
    assert board.task(made).state is State.QUEUED
    answer = call("run", "true", "--wait-for", "none")
    assert (answer.code, len(answer.lines)) == (0, 1)
    assert answer.err.startswith("Warning: not waiting for none: ")


def test_the_server_is_the_flag_s_then_the_environment_s(call: Call, board: Board) -> None:
    call.variable("FUNNEL_SERVER", "http://127.0.0.1:1")
    here = f"http://127.0.0.1:{board.port}"
    assert call("task", "list").code == 1
    assert call("task", "list", "-S", here).code == 0
    assert call("task", "-S", here, "list").code == 0
    assert call("task", "list", "--Server", f"{here}/").code == 0


def test_a_worker_needs_exactly_one_task(call: Call, tmp_path: Path) -> None:
    (tmp_path / "two.json").write_text(text() * 2)
    assert "name the task" in call("worker", "run").err
    assert "2 tasks are given; a worker runs one" in call("worker", "run", "-f", "two.json").err
    assert "--taskBase64 is not base64" in call("worker", "run", "--taskbase64", "?").err
    bad = base64.b64encode(b'{"executors": [{}]}').decode()
    assert "--taskBase64: executors[0]" in call("worker", "run", "-b", bad).err
