"""What a container can do in each profile, as one finds out that tries."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from attempts import Bench, opened
from running import FINAL, Server, until

from funnel.core.task import Executor, Input, Resources, Task, TaskId
from funnel.plugins import Host
from funnel.runtime.docker import PLUGIN
from funnel.runtime.settings import Profile, Settings
from funnel.testing.build import EPOCH

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("confinement")]

PROBE = Path(__file__).with_name("probe.pl")
DENIED = "1"
"""EPERM; 0 is no error."""
DOCKERS = "00000000a80425fb"
"""The capabilities that Docker gives a root that is none."""
NONE = "0000000000000000"

EXPECTED = {
    # what is looked at: (profile standard, profile strict)
    "NoNewPrivs": ("1", "1"),
    "Seccomp": ("2", "2"),
    "CapEff": (DOCKERS, NONE),
    "CapBnd": (DOCKERS, NONE),
    "CapAmb": (NONE, NONE),
    "uid": ("0", "65534"),
    "root": ("yes", "no"),
    "pids": ("4096", "4096"),
    "memory": ("99999744", "99999744"),
    "core": ("0 0", "0 0"),
    "env": ("HOME,HOSTNAME,PATH,WORD", "HOME,HOSTNAME,PATH,WORD"),
    "interfaces": ("eth0", "none"),
    "processes": ("docker-init,perl", "docker-init,perl"),
    "sockets": ("none", "none"),
    "write_root": ("yes", "no"),
    "write_etc": ("yes", "no"),
    "write_tmp": ("yes", "yes"),
    "write_input": ("no", "no"),
    "write_sysctl": ("no", "no"),
    "write_sysrq": ("no", "no"),
    "write_sys": ("no", "no"),
    "read_kcore": ("no", "no"),
    "read_canary": ("no", "no"),
    "raw_socket": ("0", DENIED),
    "mount": (DENIED, DENIED),
    "unshare": (DENIED, DENIED),
    "keyctl": (DENIED, DENIED),
    "add_key": (DENIED, DENIED),
    "bpf": (DENIED, DENIED),
    "perf_event_open": (DENIED, DENIED),
    "open_by_handle_at": (DENIED, DENIED),
    "kexec_load": (DENIED, DENIED),
    "init_module": (DENIED, DENIED),
    "setns": (DENIED, DENIED),
    "reboot": (DENIED, DENIED),
    "mknod": ("yes", "no"),
    "read_disk": ("no", "no"),
}


async def probed(profile: Profile, folder: Path) -> Task:
    """A task that is the probe, run by the worker; the canary lies beside its files."""
    host = Host(now=lambda: EPOCH, deployment=f"test-{uuid4().hex}")
    async with (
        opened(folder) as database,
        PLUGIN.make(Settings(profile=profile), host) as runtime,
    ):
        bench = Bench(database, runtime, folder)
        bench.new_id = lambda: TaskId(uuid4().hex)
        (folder / "canary").write_text("canary")
        (bench.files / "probe.pl").write_text(PROBE.read_text())
        command = ("perl", "/in/probe.pl", str(folder / "canary"))
        return await bench.run(
            Executor(image="funnel-test/probe", command=command, env={"WORD": "x"}),
            inputs=(Input(path="/in/probe.pl", url=f"{bench.files}/probe.pl"),),
            resources=Resources(ram_gb=0.1),
        )


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """What the probe says in each profile."""
    found: list[dict[str, str]] = []
    for profile in (Profile.STANDARD, Profile.STRICT):
        task = asyncio.run(probed(profile, tmp_path_factory.mktemp(profile)))
        (log,) = task.logs[0].logs
        assert log.exit_code == 0, task.logs
        found.append(dict(line.split("=", 1) for line in log.stdout.splitlines()))
    return found


@pytest.mark.parametrize("check", EXPECTED)
@pytest.mark.parametrize("profile", [0, 1], ids=["standard", "strict"])
def test_a_container_is_confined(said: list[dict[str, str]], profile: int, check: str) -> None:
    assert said[profile][check] == EXPECTED[check][profile]


def test_nothing_is_looked_at_without_being_expected(said: list[dict[str, str]]) -> None:
    assert [one.keys() for one in said] == [EXPECTED.keys()] * 2


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    return make_server("--Docker.PidsLimit", "256")


BOMB = "while true; do sleep 600 & done"
HOG = "x=a; while true; do x=$x$x; done"


def test_a_fork_bomb_and_a_memory_hog_end_and_the_server_answers(server: Server) -> None:
    bomb = server.create(["sh", "-c", BOMB])
    hog = server.create(["sh", "-c", HOG], resources={"ram_gb": 0.05})
    slowest = 0.0

    def are_over() -> bool:
        nonlocal slowest
        began = time.monotonic()
        states = [server.state(one) for one in (bomb, hog)]
        slowest = max(slowest, time.monotonic() - began)
        return all(one in FINAL for one in states)

    until(are_over)
    assert [server.state(one) for one in (bomb, hog)] == ["EXECUTOR_ERROR"] * 2
    assert slowest < 5
