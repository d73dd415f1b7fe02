"""A worker that is refused spoils nothing that is not its own."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from running import Server, containers, until

pytestmark = [pytest.mark.engine, pytest.mark.timeout(120)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """It runs tasks itself, in the work directory that workers have, too."""
    server = Server(tmp_path)
    server.start()
    yield server
    server.stop()
    server.http.close()


def refused(server: Server, task_id: str) -> str:
    """How a worker for this task ends."""
    address, work = f"127.0.0.1:{server.rpc_port}", str(server.home / "work")
    ended = server.cli(
        *("worker", "run", "--taskID", task_id),
        *("--RPCClient.ServerAddress", address, "--Worker.WorkDir", work),
    )
    assert ended.returncode == 1, ended.stderr
    return ended.stderr


def running(task_id: str) -> bool:
    return [one["State"] for one in containers(task_id)] == ["running"]


def test_a_task_that_the_server_runs_itself_goes_on(server: Server) -> None:
    task_id = server.create(["sleep", "600"])
    until(lambda: running(task_id))
    assert "is not for workers that come for it" in refused(server, task_id)
    assert (server.home / "work" / task_id / "1").exists()
    assert running(task_id)
    server.cancel(task_id)


def test_a_path_is_no_task(server: Server) -> None:
    """Directories with numbers for names are as those of attempts."""
    kept = server.home / "kept" / "2024" / "file"
    kept.parent.mkdir(parents=True)
    kept.touch()
    for name in (str(kept.parent.parent), "../kept", "..", "."):
        assert "is no id of a task" in refused(server, name)
    assert kept.exists()
