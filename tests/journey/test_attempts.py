"""Attempts, pauses and time limits go on over a server that is killed."""

import signal
from collections.abc import Callable

import pytest
from running import Server, containers, until

pytestmark = pytest.mark.engine


def attempts(server: Server, task_id: str) -> int:
    return len(server.get(task_id)["logs"])


def test_a_pause_outlives_its_server_and_a_cancel_ends_it(
    make_server: Callable[..., Server],
) -> None:
    """The registry takes no calls."""
    server = make_server()
    task_id = server.create(["true"], image="127.0.0.1:9/nobody/nothing:1")
    until(lambda: attempts(server, task_id) > 1)
    server.stop(signal.SIGKILL)
    server.start()
    until(lambda: attempts(server, task_id) > 2)
    server.cancel(task_id)
    task = server.wait(task_id)
    assert task["state"] == "CANCELED"
    first = "".join(task["logs"][0]["system_logs"])
    assert "msg='trying again'" in first
    assert "reason='not_started'" in first
    assert "cannot pull image" in first
    until(lambda: not containers(task_id))


def test_a_time_limit_outlives_its_server(make_server: Callable[..., Server]) -> None:
    server = make_server()
    limit = {"backend_parameters": {"timeout": "3s", "max_attempts": "2", "retry_on": "17"}}
    task_id = server.create(["sh", "-c", "echo here; exec sleep 600"], resources=limit)
    until(lambda: "here" in str(server.get(task_id)["logs"][-1]))
    server.stop(signal.SIGKILL)
    server.start()
    task = server.wait(task_id)
    (log,) = task["logs"]
    assert (task["state"], log["logs"][0]["exit_code"]) == ("EXECUTOR_ERROR", 124)
    assert log["metadata"]["executor.0.timed_out"] == "true"
    assert int(log["metadata"]["executor.0.peak_memory_bytes"]) > 0
    assert "seconds_running" not in log["metadata"]
    until(lambda: not containers(task_id))
