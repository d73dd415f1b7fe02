"""Both versions of control groups, as the kernel shows them in files."""

import asyncio
import os
import sys
from pathlib import Path

import pytest

from funnel.runtime.cgroup import Counted, Group, group_of
from funnel.runtime.gauge import Gauge

ID = "4f" * 32
GONE = Path("/no/such/group")


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def machine(tmp_path: Path, inside: str, *mounts: str) -> Path:
    """Its /proc, in which process 7 is in a container."""
    write(tmp_path / "proc/7/cgroup", inside)
    write(tmp_path / "proc/self/mountinfo", "\n".join(mounts))
    return tmp_path / "proc"


def mount(at: Path, kind: str, options: str, root: str = "/") -> str:
    return f"30 20 0:9 {root} {at} rw,nosuid shared:9 - {kind} {kind} rw,{options}"


def test_version_1_has_a_tree_for_each_controller(tmp_path: Path) -> None:
    inside = f"4:memory:/docker/{ID}\n3:cpu,cpuacct:/docker/{ID}\n1:name=systemd:/a:b\n0::/x\n"
    proc = machine(
        tmp_path,
        inside,
        "22 1 0:20 / / rw - ext4 /dev/vda rw",
        mount(tmp_path / "m", "cgroup", "memory"),
        mount(tmp_path / "c", "cgroup", "cpu,cpuacct"),
    )
    group = group_of(7, ID, proc)
    assert group
    assert group == Group(tmp_path / "m/docker" / ID, tmp_path / "c/docker" / ID)
    write(group.memory / "memory.max_usage_in_bytes", "1234\n")
    write(group.memory / "memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n")
    write(group.cpu / "cpuacct.usage", "1500000000\n")
    assert group.count() == Counted(peak_memory_bytes=1234, cpu_seconds=1.5, oom_kills=2)


def test_version_2_has_one_tree(tmp_path: Path) -> None:
    inside = f"0::/part/system.slice/docker-{ID}.scope\n"
    proc = machine(tmp_path, inside, mount(tmp_path / "g", "cgroup2", "nsdelegate", "/part"))
    group = group_of(7, ID, proc)
    at = tmp_path / f"g/system.slice/docker-{ID}.scope"
    assert group
    assert group == Group(at, at)
    write(at / "cpu.stat", "usage_usec 2500000\nuser_usec 1\n")
    write(at / "memory.current", "70\n")
    write(at / "memory.events", "low 0\noom 3\noom_kill 1\n")
    assert group.count() == Counted(peak_memory_bytes=70, cpu_seconds=2.5, oom_kills=1)
    write(at / "memory.peak", "90\n")
    assert group.count().peak_memory_bytes == 90


@pytest.mark.parametrize("inside", [f"0::/docker/{ID[:-1]}\n", f"0::/../docker-{ID}.scope\n", ""])
def test_a_process_that_is_not_seen_in_the_container_is_not_counted(
    tmp_path: Path, inside: str
) -> None:
    proc = machine(tmp_path, inside, mount(tmp_path, "cgroup2", "x", "/part"))
    assert group_of(7, ID, proc) is None
    assert group_of(8, ID, proc) is None


def test_what_is_gone_is_not_known() -> None:
    assert Group(GONE, GONE).count() == Counted()


def test_counters_never_fall() -> None:
    one = Counted(peak_memory_bytes=5, cpu_seconds=1.0)
    assert one.and_then(Counted()) == Counted().and_then(one) == one
    later = Counted(peak_memory_bytes=4, cpu_seconds=2.0, oom_kills=1)
    assert one.and_then(later) == Counted(peak_memory_bytes=5, cpu_seconds=2.0, oom_kills=1)


async def test_the_last_look_is_when_the_process_ends(tmp_path: Path) -> None:
    """It writes its last counts itself, and nobody looks before the second is over."""
    write(tmp_path / "cpu.stat", "usage_usec 1000000")
    write(tmp_path / "memory.peak", "10")
    script = f"read x; echo 'usage_usec 3000000' > {tmp_path}/cpu.stat"
    process = await asyncio.create_subprocess_shell(script, stdin=asyncio.subprocess.PIPE)
    gauge = Gauge(process.pid, Group(tmp_path, tmp_path))
    before = gauge.usage.cpu_seconds
    await process.communicate(b"go\n")
    # The loop sees the end of the process in its next round at the latest.
    await asyncio.sleep(0.01)
    assert (before, gauge.usage.cpu_seconds) == (1.0, 3.0)
    assert not gauge.oom_killed
    gauge.close()


async def test_without_a_process_to_watch_counts_are_those_of_the_last_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert sys.platform == "linux"
    monkeypatch.delattr(os, "pidfd_open")
    write(tmp_path / "memory.events", "oom_kill 1")
    gauge = Gauge(1, Group(tmp_path, tmp_path))
    assert gauge.oom_killed
    gauge.close()
