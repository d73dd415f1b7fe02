"""The container engine is not there, goes away in the middle, and comes back."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from engines import PrivateEngine
from running import Server, containers, until

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("engine"), pytest.mark.timeout(180)]

LIVE = "--live-restore"


@pytest.fixture(scope="module")
def private() -> Iterator[PrivateEngine]:
    cache = Path(tempfile.mkdtemp(prefix="fw", dir="/tmp"))
    one = PrivateEngine(cache)
    try:
        one.start()
        one.make_images()
        yield one
    finally:
        # What still runs is ended by an engine that is there.
        one.start()
        one.stop()
        shutil.rmtree(cache, ignore_errors=True)


@pytest.fixture
def engine(private: PrivateEngine) -> PrivateEngine:
    """Not there yet."""
    private.crash()
    return private


class Story:
    """Tasks that write down each of their starts."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._book = server.files / "book"
        self._book.mkdir()

    def tell(self, name: str, script: str, **given: Any) -> str:
        command = ["sh", "-c", f"echo {name} >> /book/starts; {script}"]
        book = [{"path": "/book", "url": f"file://{self._book}", "type": "DIRECTORY"}]
        return self.server.create(command, name=name, inputs=book, **given)

    def started(self) -> list[str]:
        file = self._book / "starts"
        return sorted(file.read_text().split()) if file.exists() else []


@pytest.fixture
def story(make_server: Callable[..., Server], engine: PrivateEngine, tmp_path: Path) -> Story:
    shared = str(tmp_path / "server0" / "files")
    return Story(
        make_server(
            *("--Docker.Host", engine.host, "--Local.Cpus", "2"),
            *("--LocalStorage.SharedDirs", shared),
        )
    )


def health(server: Server) -> bool:
    answers: bool = server.http.get("/healthz").json()["runtime_answers"]
    return answers


def nothing_is_left(server: Server, engine: PrivateEngine, *tasks: str) -> bool:
    """Neither containers nor files."""
    left = [one for task_id in tasks for one in containers(task_id, host=engine.host)]
    return not left and not list((server.home / "work").iterdir())


def words(task: dict[str, Any]) -> str:
    return " ".join(task["logs"][0]["system_logs"])


def test_a_server_starts_without_an_engine_and_goes_on_when_it_comes(
    story: Story, engine: PrivateEngine
) -> None:
    server = story.server
    waiting = [story.tell(name, "echo done") for name in ("one", "two", "three")]
    canceled = story.tell("never", "true")
    server.cancel(canceled)
    until(lambda: "no container can be run, and tasks wait" in server.log.read_text())
    assert not health(server)
    assert "funnel_runtime_up 0.0" in server.http.get("/metrics").text
    assert [server.state(one) for one in waiting] == ["QUEUED"] * 3
    engine.start()
    for one in waiting:
        assert server.wait(one)["state"] == "COMPLETE"
    assert story.started() == ["one", "three", "two"]
    assert health(server)
    assert "containers run in Docker" in server.log.read_text()
    assert server.state(canceled) == "CANCELED"
    until(lambda: nothing_is_left(server, engine, *waiting, canceled))


def test_an_engine_that_crashes_ends_what_it_ran_and_nothing_else(
    story: Story, engine: PrivateEngine
) -> None:
    engine.start()
    server = story.server
    ends = story.tell("ends", "sleep 1; exit 3")
    lasts = story.tell("lasts", "echo first; sleep 300")
    queued = story.tell("queued", "echo late")
    until(lambda: story.started() == ["ends", "lasts"])
    until(lambda: '"stdout": "first' in json.dumps(server.get(lasts)))
    engine.crash()
    until(lambda: not health(server))
    created = story.tell("created", "echo later")
    assert server.state(created) == "QUEUED"
    engine.start()
    tasks = [server.wait(one) for one in (ends, lasts, queued, created)]
    assert [one["state"] for one in tasks] == [
        "EXECUTOR_ERROR",
        "SYSTEM_ERROR",
        "COMPLETE",
        "COMPLETE",
    ]
    assert tasks[0]["logs"][0]["logs"][0]["exit_code"] == 3
    assert "the container engine was gone for a while" in words(tasks[1])
    assert tasks[1]["logs"][0]["logs"][0]["stdout"] == "first\n"
    assert story.started() == ["created", "ends", "lasts", "queued"]
    until(lambda: nothing_is_left(server, engine, ends, lasts, queued, created))


def test_with_live_restore_containers_outlive_their_engine(
    story: Story, engine: PrivateEngine
) -> None:
    engine.start(LIVE)
    server = story.server
    script = "while [ ! -e /book/go ]; do sleep 0.1; done; echo last"
    lasts = story.tell("lasts", f"echo first; {script}")
    until(lambda: '"stdout": "first' in json.dumps(server.get(lasts)))
    engine.crash()
    until(lambda: not health(server))
    engine.start(LIVE)
    (server.files / "book" / "go").touch()
    task = server.wait(lasts)
    assert task["state"] == "COMPLETE", words(task)
    assert task["logs"][0]["logs"][0]["stdout"] == "first\nlast\n"
    assert story.started() == ["lasts"]
    until(lambda: nothing_is_left(server, engine, lasts))
