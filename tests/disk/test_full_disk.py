"""A real server whose disk is full takes nothing new, and loses nothing of what it has."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from disks import fill, free, small_disk
from running import Server, until

TASK = {"executors": [{"image": "alpine", "command": ["true"]}], "description": "x" * 20_000}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", 24) as mounted:
        yield mounted


@pytest.fixture
def server(tmp_path: Path, disk: Path) -> Iterator[Server]:
    """One whose tasks stay queued, until they are cancelled."""
    one = Server(tmp_path / "server", ("--Compute", "noop", "--Runtime", "nothing"))
    one.database = disk / "funnel.db"
    one.start()
    yield one
    if one.process.poll() is None:
        one.stop(signal.SIGKILL)
    one.http.close()


def post(server: Server) -> httpx.Response:
    return server.http.post("/v1/tasks", json=TASK)


def is_refused(answer: httpx.Response) -> bool:
    if answer.status_code == 200:
        return False
    assert answer.status_code == 507, answer.text
    assert int(answer.headers["retry-after"]) > 0
    assert "the disk of the database has" in answer.json()["error"]
    return True


def create_until_refused(server: Server) -> list[str]:
    made: list[str] = []
    while not is_refused(answer := post(server)):
        made.append(answer.json()["id"])
    return made


def listed(server: Server, **query: Any) -> int:
    """How many tasks there are, by all the pages."""
    found, token = 0, ""
    while True:
        answer = server.http.get("/v1/tasks", params={**query, "page_token": token})
        assert answer.status_code == 200
        found += len(answer.json()["tasks"])
        token = answer.json().get("next_page_token", "")
        if not token:
            return found


def test_creates_are_refused_before_the_disk_is_full(server: Server, disk: Path) -> None:
    reserve = disk / "funnel.db.reserve"
    assert reserve.stat().st_mode & 0o777 == 0o600
    assert reserve.stat().st_blocks * 512 >= reserve.stat().st_size > 0
    made = create_until_refused(server)
    assert len(made) > 100
    assert free(disk) > 0
    assert reserve.exists()
    assert listed(server) == len(made)


def test_on_a_full_disk_ends_are_kept_and_reading_goes_on(server: Server, disk: Path) -> None:
    made = [server.create_task(TASK) for _ in range(60)]
    ballast = fill(disk)
    until(lambda: is_refused(post(server)))
    for one in made:
        server.cancel(one)
    assert listed(server, state="CANCELED") == len(made)
    assert server.get(made[0])["description"] == TASK["description"]
    assert is_refused(post(server))

    server.stop(signal.SIGKILL)
    server.start()
    assert listed(server, state="CANCELED") == len(made)
    assert is_refused(post(server))

    ballast.unlink()
    until(lambda: post(server).status_code == 200, within=10)
    until((disk / "funnel.db.reserve").exists, within=10)
    assert server.stop() == 0
    assert not (disk / "funnel.db.reserve").exists()


def test_deleting_works_on_a_full_disk(server: Server, disk: Path) -> None:
    made = [server.create_task(TASK) for _ in range(50)]
    for one in made:
        server.cancel(one)
    ballast = fill(disk)
    until(lambda: is_refused(post(server)))
    for one in made:
        assert server.http.delete(f"/v1/tasks/{one}").status_code == 200
    assert listed(server, state="CANCELED") == 0
    ballast.unlink()
    until(lambda: post(server).status_code == 200, within=10)


@pytest.mark.engine
def test_containers_end_well_while_the_disk_is_full(tmp_path: Path, disk: Path) -> None:
    server = Server(tmp_path / "server")
    server.database = disk / "funnel.db"
    server.start()
    go = server.files / "go"
    wait = ["sh", "-c", f"until [ -e {go} ]; do sleep 0.1; done; echo done"]
    folder = {"path": str(server.files), "url": f"file://{server.files}", "type": "DIRECTORY"}
    try:
        made = [server.create(wait, inputs=[folder]) for _ in range(2)]
        for one in made:
            until(lambda one=one: server.state(one) == "RUNNING")
        fill(disk)
        until(lambda: is_refused(post(server)))
        go.touch()
        for one in made:
            task = server.wait(one)
            assert task["state"] == "COMPLETE"
            assert task["logs"][0]["logs"][0]["stdout"] == "done\n"
    finally:
        server.stop()
        server.http.close()
