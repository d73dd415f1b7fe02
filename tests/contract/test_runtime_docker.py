"""What is true of Docker alone: exactness, confinement, engines that go away."""

import asyncio
import os
import socket
from collections.abc import AsyncGenerator, Coroutine
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from msgspec.structs import replace

from funnel.core.container import LABEL_TASK, Container, Exited, Mount, Stream, Usage
from funnel.core.error import CannotStart, Invalid, NotFound, Unavailable
from funnel.core.task import TaskId
from funnel.plugins import Host
from funnel.ports import Runtime
from funnel.runtime.address import candidates
from funnel.runtime.docker import PLUGIN
from funnel.runtime.settings import Entrypoint, Profile, PullPolicy, Settings
from funnel.testing.runtime import NOW, SOON, output

pytestmark = pytest.mark.engine


@asynccontextmanager
async def opened(**settings: Any) -> AsyncGenerator[Runtime]:
    host = Host(now=lambda: datetime(2100, 1, 1, tzinfo=UTC), deployment=f"test-{uuid4().hex}")
    async with PLUGIN.make(Settings(**settings), host) as runtime:
        try:
            yield runtime
        finally:
            for one in await runtime.found():
                await runtime.remove(one.id, grace=NOW)


@pytest.fixture
async def runtime() -> AsyncGenerator[Runtime]:
    async with opened() as runtime:
        yield runtime


def container(*command: str, image: str = "alpine", **given: Any) -> Container:
    return Container(name=f"test-{uuid4().hex}", image=image, command=command, **given)


def shell(script: str, **given: Any) -> Container:
    return container("/bin/sh", "-c", script, **given)


async def started(runtime: Runtime, asked: Container) -> str:
    container_id = await runtime.create(asked)
    await runtime.start(container_id)
    return container_id


async def said(runtime: Runtime, asked: Container) -> bytes:
    return (await output(runtime, await started(runtime, asked)))[Stream.STDOUT]


async def test_a_start_that_is_under_way_is_seen(runtime: Runtime) -> None:
    """Who asked for it has died, and who finds the container must not start it once more."""
    task_id = TaskId(f"test-{uuid4().hex}")
    container_id = await runtime.create(container("true", labels={LABEL_TASK: task_id}))
    starting = asyncio.create_task(runtime.start(container_id))
    # The engine has the request by then, and is far from done with it.
    await asyncio.sleep(0.05)
    starting.cancel()
    (found,) = await runtime.found(task_id=task_id)
    assert found.started


async def ended(runtime: Runtime, asked: Container) -> Exited:
    return await runtime.wait(await started(runtime, asked))


async def first_line(runtime: Runtime, container_id: str) -> None:
    """Return when the container has written something."""
    async for _ in runtime.follow(container_id, skip={}):
        return


# --- exactness

ODD = (
    "",
    " ",
    "a b",
    "O'hare",
    '"quoted"',
    "back\\slash",
    "line\nbreak",
    "tab\t",
    "$HOME `id` $(id)",
    "*",
    "-x",
    "--",
    "ünï",
    "'\"'",
    "\\n",
    "%s",
    "&& ;|><",
    "\x01\x7f",
)


async def test_arguments_arrive_to_the_letter(runtime: Runtime) -> None:
    whole = await said(runtime, container("printf", "%s\\0", *ODD, "end"))
    assert whole.decode().split("\0") == [*ODD, "end", ""]


async def test_variables_arrive_to_the_letter(runtime: Runtime) -> None:
    env = {f"ODD_{number}": value for number, value in enumerate(ODD)}
    asked = (f"printf '%s\\0' \"$ODD_{number}\"" for number in range(len(ODD)))
    whole = await said(runtime, shell("; ".join(asked), env=env))
    assert whole.decode().split("\0") == [*ODD, ""]


async def test_output_is_exact_to_the_byte(runtime: Runtime) -> None:
    content = bytes(range(256)) * 64 + b"\r\n\n\nno end of line"
    asked = shell("cat; cat /dev/null >&2", stdin=True)
    container_id = await started(runtime, asked)
    await runtime.feed(container_id, BytesIO(content))
    seen = await output(runtime, container_id)
    assert seen == {Stream.STDOUT: content, Stream.STDERR: b""}
    skip = {Stream.STDOUT: 300}
    assert (await output(runtime, container_id, skip=skip))[Stream.STDOUT] == content[300:]


async def test_last_words_are_never_lost(runtime: Runtime) -> None:
    script = "for n in 1 2 3 4 5; do echo $n; done; printf end"
    seen = await asyncio.gather(*(said(runtime, shell(script)) for _ in range(12)))
    assert set(seen) == {b"1\n2\n3\n4\n5\nend"}


async def test_a_line_without_end_comes_in_small_pieces(runtime: Runtime) -> None:
    size = 64 * 2**20
    container_id = await started(runtime, container("head", "-c", str(size), "/dev/zero"))
    sizes = [len(chunk.data) async for chunk in runtime.follow(container_id, skip={})]
    assert sum(sizes) == size
    assert max(sizes) <= 2**20


async def test_a_slow_reader_holds_back_the_engine_and_loses_nothing(runtime: Runtime) -> None:
    script = "yes 0123456789 | head -n 60000"
    container_id = await started(runtime, shell(script))
    reading = runtime.follow(container_id, skip={})
    first = await anext(reading)
    await runtime.wait(container_id)
    rest = [chunk.data async for chunk in reading]
    assert first.data + b"".join(rest) == b"0123456789\n" * 60_000


async def test_output_comes_while_the_container_runs(runtime: Runtime) -> None:
    container_id = await started(runtime, shell("echo ready; sleep 600"))
    async with asyncio.timeout(10):
        await first_line(runtime, container_id)


@pytest.mark.parametrize("size", [1, 150_000, 3_000_000])
async def test_what_is_fed_arrives_without_us(runtime: Runtime, size: int) -> None:
    """Once the engine says it has all, we may die: nothing is cut off."""
    fed = asyncio.Event()
    container_id = await started(runtime, shell("sleep 0.5; wc -c", stdin=True))
    feeding = asyncio.create_task(runtime.feed(container_id, BytesIO(b"x" * size), fed=fed.set))
    await fed.wait()
    feeding.cancel()
    await runtime.wait(container_id)
    seen = await output(runtime, container_id)
    assert seen[Stream.STDOUT].split() == [str(size).encode()]


async def test_feeding_ends_when_the_container_does(runtime: Runtime) -> None:
    container_id = await started(runtime, shell("echo ready; sleep 600", stdin=True))
    await first_line(runtime, container_id)
    async with asyncio.TaskGroup() as group:
        group.create_task(runtime.feed(container_id, BytesIO(b"x" * 2**24)))
        group.create_task(runtime.remove(container_id, grace=SOON))


async def test_feeding_may_begin_before_the_start(runtime: Runtime) -> None:
    container_id = await runtime.create(container("cat", stdin=True))
    async with asyncio.TaskGroup() as group:
        group.create_task(runtime.feed(container_id, BytesIO(b"early" * 2**17)))
        await runtime.start(container_id)
        seen = group.create_task(output(runtime, container_id))
    assert seen.result()[Stream.STDOUT] == b"early" * 2**17


async def test_hundreds_may_wait(runtime: Runtime) -> None:
    container_id = await started(runtime, shell("read line; exit 7", stdin=True))
    async with asyncio.TaskGroup() as group:
        waits = [group.create_task(runtime.wait(container_id)) for _ in range(200)]
        await runtime.feed(container_id, BytesIO(b"go\n"))
    assert {wait.result().code for wait in waits} == {7}


async def test_no_path_is_too_odd_to_be_mounted(runtime: Runtime, tmp_path: Path) -> None:
    odd = tmp_path / 'a,readonly=false:ro,"'
    await asyncio.to_thread(odd.write_bytes, b"odd\n")
    target = '/in/b,src=/etc:rw,"'
    asked = container("cat", target, mounts=(Mount(str(odd), target),))
    assert await said(runtime, asked) == b"odd\n"


# --- entry points and users


async def test_the_command_replaces_the_entry_point(runtime: Runtime) -> None:
    asked = container("echo", "me", image="funnel-test/entrypoint")
    assert await said(runtime, asked) == b"me\n"


async def test_the_entry_point_can_be_kept() -> None:
    async with opened(entrypoint=Entrypoint.IMAGE) as runtime:
        asked = container("me", image="funnel-test/entrypoint")
        assert await said(runtime, asked) == b"the entrypoint spoke: me\n"


@pytest.mark.parametrize(
    ("user", "expected"),
    [("", "1234 1234"), ("7:8", "7 8"), ("caller", f"{os.getuid()} {os.getgid()}")],
)
async def test_users(user: str, expected: str) -> None:
    async with opened(user=user) as runtime:
        seen = await said(runtime, shell("echo $(id -u) $(id -g)", image="funnel-test/nonroot"))
    assert seen.decode().strip() == expected


# --- failures


@pytest.mark.parametrize(
    ("command", "code"), [("/etc", 126), ("/etc/passwd", 126), ("/no/such", 127), ("nosuch", 127)]
)
async def test_a_command_that_cannot_be_run_says_why(
    runtime: Runtime, command: str, code: int
) -> None:
    exited = await ended(runtime, container(command))
    assert exited.code == code
    assert command in exited.reason


@pytest.mark.parametrize("code", [1, 125, 126, 127, 137])
async def test_a_commands_own_code_is_only_that(runtime: Runtime, code: int) -> None:
    exited = await ended(runtime, shell(f"exit {code}"))
    assert replace(exited, usage=Usage()) == Exited(code=code)


async def test_an_empty_command_cannot_start(runtime: Runtime) -> None:
    for command in ((), ("",), ("", "id")):
        with pytest.raises(CannotStart) as failure:
            await runtime.create(container(*command))
        assert failure.value.exit_code == 127


async def test_a_workdir_that_is_a_file_cannot_start(runtime: Runtime) -> None:
    with pytest.raises(CannotStart, match="/etc/passwd is not a directory") as failure:
        await started(runtime, container("true", workdir="/etc/passwd"))
    assert failure.value.exit_code == 126


async def test_what_is_not_here_is_the_engines_fault(runtime: Runtime) -> None:
    with pytest.raises(Unavailable, match=r"(?i)no such image: funnel-test/missing"):
        await runtime.create(container("true", image="funnel-test/missing"))
    mounts = (Mount("/no/such/source", "/x"),)
    with pytest.raises(Invalid, match="/no/such/source"):
        await runtime.create(container("true", mounts=mounts))


async def test_too_much_memory_is_told_apart_from_a_failure(runtime: Runtime) -> None:
    exited = await ended(runtime, container("tail", "/dev/zero", memory_bytes=32 * 2**20))
    assert exited.oom_killed
    assert exited.code == 137


async def test_an_image_without_a_shell_cannot_erase(runtime: Runtime, tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"cannot empty .* 'funnel-test/noshell': .*/bin/sh"):
        await runtime.erase(tmp_path, "funnel-test/noshell")
    assert not await runtime.found()


async def test_more_processors_than_there_are_is_no_limit(runtime: Runtime) -> None:
    exited = await ended(runtime, container("true", cpus=4096.0))
    assert replace(exited, usage=Usage()) == Exited(code=0)


# --- confinement

PROBE = r"""
first() { for file in "$@"; do [ -e "$file" ] && cat "$file" && return; done; echo none; }
state() { sed -n "s/^$1:[[:space:]]*//p" /proc/self/status; }
writable() { touch "$1/probe" 2>/dev/null && echo yes || echo no; }
echo "no new privileges: $(state NoNewPrivs)"
echo "capabilities: $(state CapEff)"
echo "seccomp: $(state Seccomp)"
echo "user: $(id -u)"
echo "processes: $(first /sys/fs/cgroup/pids.max /sys/fs/cgroup/pids/pids.max)"
echo "memory: $(first /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes)"
echo "core: $(ulimit -c)"
echo "root: $(writable /etc)"
echo "mount: $(writable /tmp)"
echo "input: $(writable /input)"
echo "interfaces: $(ls /sys/class/net | tr '\n' ' ')"
echo "engine: $(ls /var/run/docker.sock /run/docker.sock 2>/dev/null)"
echo "devices: $(ls /dev/sd* /dev/vd* /dev/mem 2>/dev/null)"
echo "mounting: $(mount -t tmpfs none /tmp 2>/dev/null && echo yes || echo no)"
echo "first process: $(tr '\0' ' ' </proc/1/cmdline | cut -d ' ' -f 1)"
"""


async def probed(tmp_path: Path, **settings: Any) -> dict[str, str]:
    (tmp_path / "input").mkdir(mode=0o777)
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp").chmod(0o777)
    mounts = (
        Mount(str(tmp_path / "input"), "/input"),
        Mount(str(tmp_path / "tmp"), "/tmp", writable=True),
    )
    asked = shell(PROBE, mounts=mounts, memory_bytes=64 * 2**20, cpus=1.0)
    async with opened(**settings) as runtime:
        lines = (await said(runtime, asked)).decode().splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


COMMON = {
    "no new privileges": "1",
    "seccomp": "2",
    "processes": "4096",
    "memory": str(64 * 2**20),
    "core": "0",
    "mount": "yes",
    "input": "no",
    "engine": "",
    "devices": "",
    "mounting": "no",
}


async def test_a_container_is_confined(tmp_path: Path) -> None:
    seen = await probed(tmp_path)
    assert seen.items() >= {**COMMON, "user": "0", "root": "yes"}.items()
    assert seen["capabilities"] != "0" * 16
    assert "lo" in seen["interfaces"].split()
    assert "init" in seen["first process"]


async def test_a_strict_container_can_do_next_to_nothing(tmp_path: Path) -> None:
    seen = await probed(tmp_path, profile=Profile.STRICT)
    strict = {"capabilities": "0" * 16, "user": "65534", "root": "no", "interfaces": "lo"}
    assert seen.items() >= {**COMMON, **strict}.items()


async def test_processes_are_limited() -> None:
    script = "for n in 1 2 3 4 5 6 7 8 9; do sleep 600 & done; echo all"
    async with opened(pids_limit=6) as runtime:
        container_id = await started(runtime, shell(script))
        seen = await output(runtime, container_id)
    assert b"all" not in seen[Stream.STDOUT]
    assert b"fork" in seen[Stream.STDERR]


# --- stopping


async def test_a_container_may_end_in_its_own_way(runtime: Runtime) -> None:
    script = "trap 'echo bye; exit 0' TERM; echo ready; while :; do sleep 0.1; done"
    container_id = await started(runtime, shell(script))
    await first_line(runtime, container_id)
    async with asyncio.TaskGroup() as group:
        seen = group.create_task(output(runtime, container_id))
        group.create_task(runtime.remove(container_id, grace=timedelta(seconds=30)))
    assert seen.result()[Stream.STDOUT] == b"ready\nbye\n"


async def test_one_that_will_not_end_is_killed(runtime: Runtime) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.1; done"
    container_id = await started(runtime, shell(script))
    await first_line(runtime, container_id)
    await runtime.remove(container_id, grace=timedelta(seconds=1))
    assert not await runtime.found()


# --- pulling


async def test_an_image_is_never_pulled_where_that_is_forbidden() -> None:
    async with opened(pull_policy=PullPolicy.NEVER) as runtime:
        await runtime.pull("alpine")
        with pytest.raises(NotFound, match="PullPolicy is never"):
            await runtime.pull("funnel-test/missing")


@asynccontextmanager
async def silent_registry() -> AsyncGenerator[tuple[str, asyncio.Event]]:
    """An image of a registry that takes connections and says nothing; the event is the first."""
    asked = asyncio.Event()
    callers: list[asyncio.StreamWriter] = []

    async def keep(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        callers.append(writer)
        asked.set()

    async with await asyncio.start_server(keep, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"127.0.0.1:{port}/funnel-test/slow:1", asked
        for caller in callers:
            caller.transport.abort()


async def test_pulls_of_one_image_are_one_and_end_with_the_last_who_wants_it(
    runtime: Runtime,
) -> None:
    async with silent_registry() as (image, asked):
        pulls = [asyncio.create_task(runtime.pull(image)) for _ in range(3)]
        await asked.wait()
        for pull in pulls[:2]:
            pull.cancel()
        await asyncio.wait(pulls[:2])
        assert not pulls[2].done()
        pulls[2].cancel()
        await asyncio.wait(pulls)
        assert all(pull.cancelled() for pull in pulls)


async def test_a_pull_may_not_take_for_ever() -> None:
    async with (
        silent_registry() as (image, _),
        opened(pull_timeout=timedelta(milliseconds=200)) as runtime,
    ):
        with pytest.raises(Unavailable, match=r"cannot pull image .* within 0\.2 s"):
            await runtime.pull(image)


# --- engines that go away


class Gate:
    """A door to the engine that can be shut, as when it is restarted. Shut, it holds nobody."""

    def __init__(self, engine: str, path: Path) -> None:
        self.path = path
        self._engine = engine
        self._tasks = set[asyncio.Task[None]]()
        self._listeners: list[socket.socket] = []

    def open(self) -> None:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.path))
        self._listen(listener)

    def open_port(self) -> int:
        listener = socket.create_server(("127.0.0.1", 0))
        self._listen(listener)
        port: int = listener.getsockname()[1]
        return port

    async def shut(self) -> None:
        for listener in self._listeners:
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()
        self._listeners.clear()
        # Who has come in must be on their way before they can be thrown out.
        await asyncio.sleep(0)
        for one in self._tasks:
            one.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self.path.unlink(missing_ok=True)

    def _listen(self, listener: socket.socket) -> None:
        listener.settimeout(0)
        listener.listen()
        self._listeners.append(listener)
        asyncio.get_running_loop().add_reader(listener, self._let_in, listener)

    def _keep(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(job)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _let_in(self, listener: socket.socket) -> None:
        with suppress(BlockingIOError):
            caller, _ = listener.accept()
            caller.settimeout(0)
            self._keep(self._pass(caller))

    async def _pass(self, caller: socket.socket) -> None:
        reader, writer = await asyncio.open_connection(sock=caller)
        try:
            there, back = await asyncio.open_unix_connection(self._engine)
            try:
                await asyncio.gather(_carry(reader, back), _carry(there, writer))
            finally:
                back.transport.abort()
        except OSError:
            pass
        finally:
            writer.transport.abort()


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(2**16):
        writer.write(piece)
        await writer.drain()
    writer.write_eof()


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncGenerator[Gate]:
    (engine, *_) = candidates("", os.environ, Path.home())
    gate = Gate(engine.socket, tmp_path / "engine.sock")
    gate.open()
    yield gate
    await gate.shut()


async def test_who_waits_and_follows_outlasts_the_engine(gate: Gate) -> None:
    script = "echo before; read line; echo after; exit 9"
    async with opened(host=str(gate.path)) as runtime, opened() as direct:
        container_id = await started(runtime, shell(script, stdin=True))
        waiting = asyncio.create_task(runtime.wait(container_id))
        seen = asyncio.create_task(output(runtime, container_id))
        await first_line(direct, container_id)
        await gate.shut()
        await direct.feed(container_id, BytesIO(b"go on\n"))
        assert (await direct.wait(container_id)).code == 9
        assert not waiting.done()
        gate.open()
        assert (await waiting).code == 9
        assert (await seen)[Stream.STDOUT] == b"before\nafter\n"


async def test_patience_has_an_end(gate: Gate) -> None:
    patience = timedelta(milliseconds=200)
    async with opened(host=str(gate.path), patience=patience) as runtime, opened() as direct:
        container_id = await started(runtime, container("sleep", "600"))
        waiting = asyncio.create_task(runtime.wait(container_id))
        await first_line(direct, await started(direct, container("echo", "a moment later")))
        await gate.shut()
        with pytest.raises(Unavailable, match=r"does not answer"):
            await waiting
        with pytest.raises(Unavailable, match=r"does not answer"):
            await runtime.start(container_id)
        gate.open()


async def test_an_engine_may_be_reached_by_host_and_port(gate: Gate) -> None:
    port = gate.open_port()
    async with opened(host=f"tcp://127.0.0.1:{port}") as runtime:
        container_id = await started(runtime, container("cat", stdin=True))
        await runtime.feed(container_id, BytesIO(b"by port" * 2**16))
        seen = await output(runtime, container_id)
        assert seen[Stream.STDOUT] == b"by port" * 2**16
