"""The work directory is taken away in the middle, and comes back; an image cannot be had."""

import shutil
import subprocess
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from disks import fill, small_disk
from running import Server, containers, until

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("work"), pytest.mark.timeout(180)]


@contextmanager
def read_only(place: Path) -> Generator[None]:
    """As root too, whom no permissions bind."""
    subprocess.run(["mount", "--bind", "-o", "ro", place, place], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


@contextmanager
def deleted(place: Path) -> Generator[None]:
    """All that is in it; what is begun meanwhile makes its own."""
    for one in place.iterdir():
        shutil.rmtree(one)
    yield


@contextmanager
def full(place: Path) -> Generator[None]:
    ballast = fill(place)
    try:
        yield
    finally:
        ballast.unlink()


def begin(server: Server) -> str:
    folder = [{"path": "/book", "url": f"file://{server.files}", "type": "DIRECTORY"}]
    task_id = server.create(
        ["sh", "-c", "until [ -e /book/go ]; do sleep 0.1; done; echo done"], inputs=folder
    )
    until(lambda: [one["State"] for one in containers(task_id)] == ["running"])
    return task_id


def words(server: Server, task_id: str) -> str:
    logs = server.get(task_id)["logs"]
    return " ".join(line for log in logs for line in log.get("system_logs", []))


def is_clean(server: Server, *tasks: str) -> bool:
    return not any(map(containers, tasks)) and not [*(server.home / "work").iterdir()]


@pytest.mark.parametrize(
    ("harm", "reason", "waits"),
    [
        (read_only, "Read-only file system", True),
        (deleted, "No such file or directory", False),
        (full, "No space left on device", True),
    ],
)
def test_tasks_outlast_the_loss_of_the_work_directory_or_say_why_not(
    tmp_path: Path,
    harm: Callable[[Path], AbstractContextManager[None]],
    reason: str,
    *,
    waits: bool,
) -> None:
    server = Server(tmp_path / "server", ("--Local.Cpus", "4"))
    with small_disk(server.home / "work", 4) as work:
        server.start()
        try:
            running = begin(server)
            with harm(work):
                content = [{"path": "/in/x", "content": "y" * 20_000}]
                new = server.create(["wc", "-c", "/in/x"], inputs=content)
                if waits:
                    until(lambda: "trying again" in words(server, new))
                    assert reason in words(server, new)
                # What runs loses what it has to write, and says so; the others go on.
                (server.files / "go").touch()
                assert server.wait(running)["state"] == "SYSTEM_ERROR"
                assert reason in words(server, running)
                assert "see to the disk of Worker.WorkDir" in words(server, running)
            assert server.wait(new)["state"] == "COMPLETE"
            assert server.run(["echo", "hello"])["state"] == "COMPLETE"
            if harm is read_only:
                server.stop()
                with read_only(work), pytest.raises(RuntimeError, match="work is not writable"):
                    server.start()
                # What could not be removed is, now or within two minutes of a server that goes on.
                server.start()
            until(lambda: is_clean(server, running, new))
        finally:
            server.stop()
            server.http.close()


@pytest.mark.parametrize("policy", ["never", "missing"])
def test_an_image_that_cannot_be_had_ends_its_task_at_once_and_no_other(
    make_server: Callable[..., Server], policy: str
) -> None:
    server = make_server("--Docker.PullPolicy", policy)
    # A name that no name server has, so that no registry is asked.
    image = "registry.invalid/nobody/nothing:1"
    missing, other = server.create(["true"], image=image), server.create(["true"])
    task = server.wait(missing)
    assert task["state"] == "SYSTEM_ERROR"
    assert len(task["logs"]) == 1
    assert image in words(server, missing)
    if policy == "never":
        assert "load it into the engine, or choose another policy" in words(server, missing)
    assert server.wait(other)["state"] == "COMPLETE"
    until(lambda: is_clean(server, missing, other))
