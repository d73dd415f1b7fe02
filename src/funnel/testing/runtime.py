"""What every runtime must do."""

import asyncio
from collections.abc import Mapping
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from funnel.core.container import LABEL_TASK, Container, Exited, Mount, Stream
from funnel.core.error import CannotStart, Conflict, NotFound, Unavailable
from funnel.core.task import TaskId
from funnel.ports import Runtime

NOW = timedelta(0)
SOON = timedelta(seconds=2)


async def output(
    runtime: Runtime, container_id: str, *, skip: Mapping[Stream, int] | None = None
) -> dict[Stream, bytes]:
    """All that a container writes until it ends."""
    seen = {Stream.STDOUT: b"", Stream.STDERR: b""}
    async for chunk in runtime.follow(container_id, skip=skip or {}):
        seen[chunk.stream] += chunk.data
    return seen


class RuntimeSuite:
    """
    Subclass, give the fixtures `runtime` and `image`, and pytest does the rest.

    The image holds echo, cat, false, sleep, touch, and a shell at /bin/sh. Containers are named
    and labelled after a task that no other test has.
    """

    @pytest.fixture
    def task_id(self) -> TaskId:
        return TaskId(f"suite-{uuid4().hex}")

    @pytest.fixture
    def missing(self) -> str:
        """An image that cannot be had, without asking far away."""
        return "127.0.0.1:9/funnel-test/missing:1"

    def container(self, task_id: TaskId, image: str, *command: str, **given: Any) -> Container:
        labels = {LABEL_TASK: task_id}
        asked: dict[str, Any] = {"name": f"{task_id}-0", "labels": labels, **given}
        return Container(image=image, command=command, **asked)

    async def started(self, runtime: Runtime, container: Container) -> str:
        container_id = await runtime.create(container)
        await runtime.start(container_id)
        return container_id

    async def end_of(self, runtime: Runtime, container: Container) -> Exited:
        """A command that is missing may show before the start, or after it."""
        try:
            container_id = await self.started(runtime, container)
        except CannotStart as error:
            return Exited(code=error.exit_code, reason=str(error))
        return await runtime.wait(container_id)

    async def test_a_container_writes_and_ends(
        self, runtime: Runtime, image: str, task_id: TaskId
    ) -> None:
        echo = self.container(task_id, image, "echo", "a  b", "c")
        container_id = await self.started(runtime, echo)
        assert await output(runtime, container_id) == {
            Stream.STDOUT: b"a  b c\n",
            Stream.STDERR: b"",
        }
        exited = await runtime.wait(container_id)
        assert (exited.code, exited.reason, exited.oom_killed) == (0, "", False)

    async def test_an_exit_that_nobody_saw_is_not_lost(
        self, runtime: Runtime, image: str, task_id: TaskId
    ) -> None:
        container_id = await self.started(runtime, self.container(task_id, image, "false"))
        ends = await asyncio.gather(*(runtime.wait(container_id) for _ in range(3)))
        assert {end.code for end in [*ends, await runtime.wait(container_id)]} == {1}

    async def test_what_was_read_can_be_skipped(
        self, runtime: Runtime, image: str, task_id: TaskId
    ) -> None:
        echo = self.container(task_id, image, "echo", "0123456789")
        container_id = await self.started(runtime, echo)
        await runtime.wait(container_id)
        for skip, rest in ((4, b"456789\n"), (11, b""), (99, b"")):
            seen = await output(runtime, container_id, skip={Stream.STDOUT: skip})
            assert seen[Stream.STDOUT] == rest

    async def test_creating_twice_makes_one_container(
        self, runtime: Runtime, image: str, task_id: TaskId
    ) -> None:
        container = self.container(task_id, image, "false")
        container_id = await self.started(runtime, container)
        assert await runtime.create(container) == container_id
        await runtime.start(container_id)
        assert (await runtime.wait(container_id)).code == 1
        assert len(await runtime.found(task_id=task_id)) == 1

    async def test_a_container_of_others_is_not_taken(
        self, runtime: Runtime, image: str, task_id: TaskId
    ) -> None:
        container = self.container(task_id, image, "false")
        await runtime.create(container)
        other = self.container(task_id, image, "false", labels={LABEL_TASK: "another"})
        with pytest.raises(Conflict, match=container.name):
            await runtime.create(other)

    async def test_a_command_that_is_missing_is_127(
        self, runtime: Runtime, image: str, task_id: TaskId
    ) -> None:
        container = self.container(task_id, image, "no-such-command")
        end = await self.end_of(runtime, container)
        assert end.code == 127
        assert end.reason

    async def test_standard_input_is_what_is_fed(
        self, runtime: Runtime, image: str, task_id: TaskId
    ) -> None:
        content = b"\x00\xff\r\n" + b"no end of line" * 2**18
        cat = self.container(task_id, image, "cat", stdin=True)
        container_id = await self.started(runtime, cat)
        await runtime.feed(container_id, BytesIO(content))
        assert (await output(runtime, container_id))[Stream.STDOUT] == content

    async def test_standard_input_is_empty_when_nothing_is_fed(
        self, runtime: Runtime, image: str, task_id: TaskId
    ) -> None:
        container_id = await self.started(runtime, self.container(task_id, image, "cat"))
        assert (await runtime.wait(container_id)).code == 0
        assert (await output(runtime, container_id))[Stream.STDOUT] == b""

    async def test_feeding_one_that_does_not_read_is_no_error(
        self, runtime: Runtime, image: str, task_id: TaskId
    ) -> None:
        false = self.container(task_id, image, "false", stdin=True)
        container_id = await self.started(runtime, false)
        await runtime.feed(container_id, BytesIO(b"x" * 2**22))
        assert (await runtime.wait(container_id)).code == 1

    async def test_mounts_are_seen_and_written(
        self, runtime: Runtime, image: str, task_id: TaskId, tmp_path: Path
    ) -> None:
        (tmp_path / "in: put").write_bytes(b"hello\n")
        (tmp_path / "out").mkdir(mode=0o777)
        (tmp_path / "out").chmod(0o777)
        mounts = (
            Mount(str(tmp_path / "in: put"), "/in/a b:c"),
            Mount(str(tmp_path / "out"), "/out", writable=True),
        )
        cat = self.container(task_id, image, "cat", "/in/a b:c", mounts=mounts)
        container_id = await self.started(runtime, cat)
        assert (await output(runtime, container_id))[Stream.STDOUT] == b"hello\n"
        touch = self.container(
            task_id, image, "touch", "/out/new", mounts=mounts, name=f"{task_id}-1"
        )
        assert (await runtime.wait(await self.started(runtime, touch))).code == 0
        assert (tmp_path / "out" / "new").exists()

    async def test_removing_stops_what_runs(
        self, runtime: Runtime, image: str, task_id: TaskId
    ) -> None:
        sleep = self.container(task_id, image, "sleep", "600")
        container_id = await self.started(runtime, sleep)
        (found,) = await runtime.found(task_id=task_id)
        assert found.running
        async with asyncio.TaskGroup() as group:
            following = group.create_task(output(runtime, container_id))
            group.create_task(runtime.remove(container_id, grace=SOON))
            group.create_task(runtime.remove(container_id, grace=SOON))
        assert following.result()[Stream.STDOUT] == b""
        assert not await runtime.found(task_id=task_id)

    async def test_what_was_stopped_tells_how_it_ended(
        self, runtime: Runtime, image: str, task_id: TaskId
    ) -> None:
        sleep = self.container(task_id, image, "sleep", "600")
        container_id = await self.started(runtime, sleep)
        for _ in range(2):
            await runtime.stop(container_id, grace=SOON)
        assert (await runtime.wait(container_id)).code in {137, 143}
        await runtime.remove(container_id, grace=NOW)
        await runtime.stop(container_id, grace=SOON)

    async def test_removing_what_is_gone_is_no_error(
        self, runtime: Runtime, image: str, task_id: TaskId
    ) -> None:
        container_id = await runtime.create(self.container(task_id, image, "false"))
        await runtime.remove(container_id, grace=NOW)
        await runtime.remove(container_id, grace=SOON)
        with pytest.raises(NotFound):
            await runtime.wait(container_id)
        with pytest.raises(NotFound):
            await runtime.start(container_id)

    async def test_containers_are_found_in_every_state(
        self, runtime: Runtime, image: str, task_id: TaskId
    ) -> None:
        for number, command in enumerate((["false"], ["false"], ["sleep", "600"])):
            name = f"{task_id}-{number}"
            await runtime.create(self.container(task_id, image, *command, name=name))
        ids = {one.name: one.id for one in await runtime.found(task_id=task_id)}
        for number in (1, 2):
            await runtime.start(ids[f"{task_id}-{number}"])
        await runtime.wait(ids[f"{task_id}-1"])
        found = {one.name: one for one in await runtime.found()}
        assert [found[f"{task_id}-{n}"].running for n in range(3)] == [False, False, True]
        assert all(found[name].labels[LABEL_TASK] == task_id for name in ids)
        assert not await runtime.found(task_id=TaskId("nobody"))

    async def test_an_image_that_is_here_is_not_pulled(self, runtime: Runtime, image: str) -> None:
        await asyncio.gather(*(runtime.pull(image) for _ in range(3)))

    async def test_an_image_that_cannot_be_had_is_named(
        self, runtime: Runtime, missing: str
    ) -> None:
        pulls = (runtime.pull(missing) for _ in range(3))
        ends = await asyncio.gather(*pulls, return_exceptions=True)
        for end in ends:
            assert isinstance(end, NotFound | Unavailable)
            assert missing in str(end)

    async def test_an_image_shows_its_paths(
        self, runtime: Runtime, image: str, missing: str
    ) -> None:
        asked = ("/bin/sh", "/bin/sh", "/no/such/path")
        answers = await asyncio.gather(*(runtime.has_path(image, path) for path in asked))
        assert answers == [True, True, False]
        with pytest.raises((NotFound, Unavailable)):
            await runtime.has_path(missing, "/bin/sh")

    async def test_erasing_leaves_the_directory_and_nothing_in_it(
        self, runtime: Runtime, image: str, tmp_path: Path
    ) -> None:
        outside = tmp_path / "outside"
        outside.write_text("stays")
        full = tmp_path / "full"
        (full / ".a" / "b").mkdir(parents=True)
        (full / "..c").symlink_to(outside)
        (full / "-rf *").write_text("odd")
        await runtime.erase(full, image)
        await runtime.erase(full, image)
        assert list(full.iterdir()) == []
        assert outside.read_text() == "stays"

    async def test_it_says_what_it_is(self, runtime: Runtime) -> None:
        assert await runtime.describe()
