"""Whatever a real container leaves, and wherever: nothing else is opened, stored or told."""

import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from corpus import CANARY, snapshot
from hostile import EFFORT
from running import FINAL, Server, until
from scene import CANARY as OTHER
from scene import Attempt

import funnel
from funnel.core.error import FunnelError

pytestmark = pytest.mark.xdist_group("planted")

PLANTS = {
    # kind: what is run as root in a directory, to leave it under the name x; {canary} is a file
    "absolute link": "ln -s {canary} x",
    "climbing link": "ln -s ../../../../../../../../../../../../..{canary} x",
    "link to a directory": "ln -s {folder} x",
    "link by proc": "ln -s /proc/self/root{canary} x",
    "link to an environment": "ln -s /proc/1/environ x",
    "link to a descriptor": "ln -s /proc/self/fd/3 x",
    "link to ours": "ln -s ../../private/stdout-0 x",
    "link over a link": "ln -s {folder} ../there; ln -s ../there/canary x",
    "loop": "ln -s x x",
    "long chain": "for n in $(seq 60); do ln -s x$((n + 1)) x$n; done; ln -s x1 x",
    "hard link": "ln /input x || ln /proc/1/environ x || ln /etc/hostname x || true",
    "fifo": "mkfifo x",
    "block device": "mknod x b 8 0",
    "endless device": "mknod x c 1 5",
    "socket": 'perl -e \'socket(S, 1, 1, 0); bind(S, pack("Sa*", 1, "x")) or die\'',
    "odd names": "touch \"$(printf 'x\\nnew')\" \"$(printf 'x\\377')\" -- '-rf' ' '",
    "locked": "mkdir -p x/a/b; echo inside >x/a/b/c; chmod 0 x/a/b x/a x",
}
AS_INPUT = ("absolute link", "fifo", "endless device", "socket", "link to an environment")
"""Those that are fed to a command as well."""
PLACES = ("file", "dir", "glob", "so", "se")


class Scene:
    """A server of which strace sees what it opens, and a canary that it may not."""

    def __init__(self, home: Path) -> None:
        self.secret = home / "secret"
        self.secret.mkdir()
        self.canary = self.secret / "canary"
        self.canary.write_text(CANARY)
        self.server = Server(home / "server", ("--Local.CPUs", "6"))
        (self.server.files / "input").write_text("fine")
        self.trace = home / "trace"
        self.before = snapshot(self.secret)

    def follow(self) -> subprocess.Popen[str]:
        calls = "openat,openat2,open,creat,linkat,link,renameat,renameat2,symlinkat"
        argv = ["strace", "--follow-forks", "--decode-fds=path", f"--trace={calls}"]
        argv += ["--string-limit=4096", f"--output={self.trace}", "--attach"]
        tracing = subprocess.Popen(
            [*argv, str(self.server.process.pid)], stderr=subprocess.PIPE, text=True
        )
        assert tracing.stderr
        assert "attached" in tracing.stderr.readline()
        return tracing

    def task(self, kind: str, *, stdin: bool) -> dict[str, Any]:
        plant = PLANTS[kind].format(canary=self.canary, folder=self.secret)
        places = ("stdin",) if stdin else PLACES
        script = "".join(f"(mkdir -p /{one}; cd /{one}; {plant}) 2>/dev/null\n" for one in places)
        to = self.server.files / kind
        first: dict[str, Any] = {
            "image": "funnel-test/probe",
            "command": ["sh", "-c", f"{script}echo out; echo err >&2"],
        }
        if stdin:
            second = {"image": "alpine", "command": ["cat"], "stdin": "/stdin/x"}
            return {"executors": [first, second], "volumes": ["/stdin"]}
        return {
            "executors": [{**first, "stdout": "/so/x", "stderr": "/se/x"}],
            "inputs": [{"path": "/input", "url": f"{self.server.files}/input"}],
            "outputs": [
                {"path": "/file/x", "url": f"{to}/file"},
                {"path": "/dir", "url": f"{to}/dir", "type": "DIRECTORY"},
                {"path": "/glob/*", "url": f"{to}/glob", "path_prefix": "/glob"},
                {"path": "/so/x", "url": f"{to}/so"},
                {"path": "/se/x", "url": f"{to}/se"},
            ],
        }


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    scene = Scene(tmp_path_factory.mktemp("planted"))
    scene.server.start()
    tracing = scene.follow()
    yield scene
    scene.server.stop()
    tracing.communicate(timeout=20)
    scene.server.http.close()


@pytest.fixture(scope="module")
def ended(scene: Scene) -> dict[tuple[str, bool], dict[str, Any]]:
    """All tasks, by what they plant and whether it is to be standard input, once they are over."""
    ids = {
        (kind, stdin): scene.server.create_task(scene.task(kind, stdin=stdin))
        for stdin, kinds in ((False, PLANTS), (True, AS_INPUT))
        for kind in kinds
    }
    until(lambda: all(scene.server.state(one) in FINAL for one in ids.values()), within=150)
    return {key: scene.server.get(one) for key, one in ids.items()}


@pytest.mark.engine
@pytest.mark.timeout(200)
@pytest.mark.parametrize("kind", PLANTS)
def test_a_container_plants(
    scene: Scene, ended: dict[tuple[str, bool], dict[str, Any]], kind: str
) -> None:
    task, to = ended[kind, False], scene.server.files / kind
    assert [one["exit_code"] for one in task["logs"][0]["logs"]] == [0], task
    assert task["state"] in {"COMPLETE", "SYSTEM_ERROR"}
    # What was planted where output goes has made way for the output, or the task has failed.
    for place, text in (("so", "out\n"), ("se", "err\n")):
        if task["state"] == "COMPLETE" or (to / place).is_file():
            assert (to / place).read_text() == text
    for one in to.rglob("*"):
        assert one.is_dir() or (one.is_file() and not one.is_symlink())
        assert one.is_dir() or CANARY not in one.read_bytes().decode(errors="replace")


@pytest.mark.engine
@pytest.mark.timeout(200)
@pytest.mark.parametrize("kind", AS_INPUT)
def test_what_a_container_plants_is_fed_to_none(
    ended: dict[tuple[str, bool], dict[str, Any]], kind: str
) -> None:
    task = ended[kind, True]
    assert task["state"] == "SYSTEM_ERROR", task
    assert "stdin of executor 1" in str(task["logs"])


@pytest.mark.engine
@pytest.mark.timeout(200)
def test_nothing_is_told_and_nothing_is_left(
    scene: Scene, ended: dict[tuple[str, bool], dict[str, Any]]
) -> None:
    assert CANARY not in str(ended)
    until(lambda: not any((scene.server.home / "work").iterdir()))
    for one in ("server.log", "funnel.db", "funnel.db-wal"):
        assert CANARY.encode() not in (scene.server.home / one).read_bytes()
    assert snapshot(scene.secret) == scene.before


RESULT = re.compile(r"= \d+<(.*)>$")


@pytest.mark.engine
@pytest.mark.timeout(200)
@pytest.mark.usefixtures("ended")
def test_all_that_the_server_opened_lies_where_it_may(scene: Scene) -> None:
    """By the kernel's own names of what was opened, links and all."""
    lines = scene.trace.read_text(errors="replace").splitlines()
    found = [match[1] for line in lines if (match := RESULT.search(line))]
    home = scene.server.home
    program = (sys.prefix, sys.base_prefix, str(Path(funnel.__file__).parent))
    files = (str(home / "work"), str(home / "funnel.db"), str(scene.server.files))
    system = ("/proc/", "/dev/", "/sys/", "/etc/", "/usr/", "/lib/")
    assert len([one for one in found if one.startswith(files)]) > 10 * len(PLANTS)
    # The way to a file is walked from the root, each step by a descriptor of the one before.
    above = {str(folder) for one in files for folder in Path(one).parents}
    strange = {one for one in found if not one.startswith((*program, *files, *system))}
    assert strange <= above
    devices = {one for one in found if one.startswith("/dev/")}
    assert devices <= {"/dev/null", "/dev/urandom"}
    assert not [one for one in found if re.search(r"/proc/\d+/(environ|root|mem)", one)]
    assert not [one for one in found if one.startswith("/etc/") and "shadow" in one]


PRIVATE = (
    *("/private/stdout-0", "/private", "/root/private/stdout-0", "/data/funnel.db", "/funnel.db"),
    *(
        "/config.yaml",
        "/attempt.json",
        "/server.log",
        "/private/*",
        "/funnel/*",
        "/out/*/private/*",
    ),
)


@pytest.mark.engine
@pytest.mark.timeout(100)
def test_nothing_of_ours_is_below_the_root_of_a_task(scene: Scene) -> None:
    names = (*PRIVATE, f"{scene.server.home}/funnel.db", f"{scene.server.home}/work/*")
    outputs = [
        {"path": name, "url": f"{scene.server.files}/private/{number}"}
        for number, name in enumerate(names)
    ]
    task = scene.server.run(["sh", "-c", "echo secret; sleep 0.3"], outputs=outputs)
    stored = scene.server.files / "private"
    assert task["state"] == "COMPLETE", task
    assert [one for one in stored.rglob("*") if one.is_file() and one.stat().st_size] == []


@pytest.mark.engine
@pytest.mark.timeout(100)
@pytest.mark.usefixtures("ended")
def test_nobody_else_may_read_what_is_ours(scene: Scene) -> None:
    home = scene.server.home
    task_id = scene.server.create(["sh", "-c", "echo here; sleep 600"])
    until(lambda: list((home / "work").glob(f"{task_id}/1/private/stdout-0")))
    ours = [home / "work" / task_id, *home.glob("funnel.db*")]
    assert len(ours) >= 4
    assert {oct(one.stat().st_mode & 0o077) for one in ours} == {"0o0"}
    private = home / "work" / task_id / "1" / "private"
    assert private.stat().st_mode & 0o777 == 0o700
    scene.server.cancel(task_id)


SWAPPER = """
import os, sys
os.chdir(sys.argv[1])
while True:
    for one, other in (("x", "real"), ("evil", "x"), ("x", "evil"), ("real", "x")):
        try:
            os.rename(one, other)
        except OSError:
            pass
"""


def test_a_swap_in_another_process_opens_nothing_else(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    """A directory and a link to the host's, in turn under one name, for seconds."""
    attempt = Attempt(tmp_path)
    attempt.write("out/x/secret", "harmless")
    attempt.link("out/evil", attempt.host)
    opened = {"harmless": 0, OTHER: 0, "": 0}
    swapping = subprocess.Popen([sys.executable, "-c", SWAPPER, str(attempt.root / "out")])
    try:
        tree, end = attempt.tree, time.monotonic() + 3 * EFFORT
        while time.monotonic() < end:
            text = ""
            with suppress(FunnelError), tree.open_file("/out/x/secret") as file:
                text = file.read().decode()
            opened[text] += 1
    finally:
        swapping.kill()
        swapping.wait()
    record_property("opened", opened["harmless"])
    record_property("refused", opened[""])
    assert opened[OTHER] == 0
    assert opened["harmless"] > 100
    assert opened[""] > 100
