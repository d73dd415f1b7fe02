import base64
import json
import signal
from pathlib import Path

import pytest
from calling import Call, Process
from running import containers, until

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]


def encoded(*command: str) -> str:
    task = {"executors": [{"image": "alpine", "command": command}]}
    return base64.b64encode(json.dumps(task).encode()).decode()


def test_a_worker_runs_one_task_and_exits_as_its_command_did(call: Call) -> None:
    answer = call("worker", "run", "-b", encoded("sh", "-c", "echo out; echo err >&2; exit 3"))
    assert (answer.code, answer.out) == (3, "out\n")
    assert "err\n" in answer.err
    assert "EXECUTOR_ERROR" in answer.err


def test_a_worker_prints_the_task_as_it_ended(call: Call, tmp_path: Path) -> None:
    (tmp_path / "task.json").write_bytes(base64.b64decode(encoded("echo", "hello")))
    answer = call("worker", "run", "--taskFile", "task.json", "--output", "json")
    assert answer.code == 0
    assert answer.json["state"] == "COMPLETE"
    assert answer.json["logs"][0]["logs"][0]["stdout"] == "hello\n"
    assert answer.json["logs"][0]["logs"][0]["exitCode"] == 0


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_worker_that_is_stopped_leaves_nothing(tmp_path: Path, how: signal.Signals) -> None:
    work = tmp_path / "work"
    words = ("-b", encoded("sleep", "600"), "--Worker.StopGrace=1s", "--output", "json")
    process = Process(0, "worker", "run", "--Worker.WorkDir", str(work), *words)

    def begun() -> bool:
        names = [one.name for one in work.iterdir()] if work.exists() else []
        return any(one["State"] == "running" for name in names for one in containers(name))

    until(begun)
    process.interrupt(how)
    answer = process.end()
    assert (answer.code, answer.json["state"]) == (143, "CANCELED"), answer.err
    assert not containers(answer.json["id"])
    assert not list(work.iterdir())
