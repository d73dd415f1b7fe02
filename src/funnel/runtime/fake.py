"""A runtime whose containers are Python functions that act on the mounts."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path, PurePosixPath
from shutil import rmtree
from typing import IO, TypeAlias

from funnel.core.container import LABEL_TASK, Chunk, Container, Exited, Found, Mount, Stream
from funnel.core.error import CannotStart, Conflict, NotFound
from funnel.core.task import TaskId
from funnel.ports import unheard

KILLED = 137


class Inside:
    """What a program in a fake container can see and do. `stopping` is its TERM."""

    def __init__(self, container: Container) -> None:
        self.container = container
        self.stopping = asyncio.Event()
        self.output: list[Chunk] = []
        self.news = asyncio.Condition()
        self._stdin = asyncio.get_running_loop().create_future()
        if not container.stdin:
            self.fed(b"")

    def path(self, target: str) -> Path:
        """Where a path of the container is on this machine. Raises `NotFound` outside mounts."""
        inner = PurePosixPath(target)
        holding = [mount for mount in self.container.mounts if inner.is_relative_to(mount.target)]
        if not holding:
            raise NotFound(f"nothing is mounted at {target}")
        deepest = max(holding, key=_depth)
        return Path(deepest.source) / inner.relative_to(deepest.target)

    async def stdin(self) -> bytes:
        """All that is fed, once it is."""
        content: bytes = await asyncio.shield(self._stdin)
        return content

    async def write(self, content: bytes, stream: Stream = Stream.STDOUT) -> None:
        async with self.news:
            self.output.append(Chunk(stream, content))
            self.news.notify_all()

    def fed(self, content: bytes) -> None:
        if not self._stdin.done():
            self._stdin.set_result(content)


Program: TypeAlias = Callable[[Inside], Awaitable[int]]
"""Returns the exit code."""


@dataclass(slots=True)
class _Kept:
    inside: Inside
    run: asyncio.Task[None] | None = None
    exited: Exited | None = None
    ended: asyncio.Event = field(default_factory=asyncio.Event)


class FakeRuntime:
    """
    Answers `ports.Runtime`. A container runs the program that its command begins with.

    `otherwise` runs where there is none; without it such a command cannot start. `images` are
    those that can be had, all if None; `paths` is what is in them. Without `has_files` the
    programs must neither look at files nor print.
    """

    def __init__(
        self,
        programs: Mapping[str, Program],
        *,
        otherwise: Program | None = None,
        images: frozenset[str] | None = None,
        paths: frozenset[str] = frozenset({"/bin/sh"}),
        has_files: bool = True,
    ) -> None:
        self.has_files = has_files
        self._programs = programs
        self._otherwise = otherwise
        self._images = images
        self._paths = paths
        self._kept: dict[str, _Kept] = {}

    async def pull(self, image: str) -> None:
        if self._images is not None and image not in self._images:
            raise NotFound(f"cannot pull image {image!r}: there is none")

    async def has_path(self, image: str, path: str) -> bool:
        await self.pull(image)
        return path in self._paths

    async def create(self, container: Container) -> str:
        """The id is the name."""
        await self.pull(container.image)
        known = self._kept.get(container.name)
        if known is None:
            self._kept[container.name] = _Kept(Inside(container))
        elif known.inside.container.labels != container.labels:
            raise Conflict(f"there is another container named {container.name}; remove it")
        return container.name

    async def start(self, container_id: str) -> None:
        kept = self._get(container_id)
        command = kept.inside.container.command[:1]
        program = self._programs.get("".join(command), self._otherwise)
        if program is None:
            raise CannotStart(f"the command cannot be found: {command}", 127)
        if kept.run is None:
            kept.run = asyncio.create_task(_run(kept, program))

    async def feed(
        self, container_id: str, stdin: IO[bytes], *, fed: Callable[[], object] = unheard
    ) -> None:
        inside = self._get(container_id).inside
        inside.fed(await asyncio.to_thread(stdin.read))
        fed()

    async def follow(
        self, container_id: str, *, skip: Mapping[Stream, int]
    ) -> AsyncIterator[Chunk]:
        kept = self._get(container_id)
        left = dict(skip)
        at = 0
        while True:
            async with kept.inside.news:
                await kept.inside.news.wait_for(_more(kept, at))
            if at == len(kept.inside.output):
                return
            chunk = kept.inside.output[at]
            at += 1
            passed = min(left.get(chunk.stream, 0), len(chunk.data))
            left[chunk.stream] = left.get(chunk.stream, 0) - passed
            if chunk.data[passed:]:
                yield Chunk(chunk.stream, chunk.data[passed:])

    async def wait(self, container_id: str) -> Exited:
        kept = self._get(container_id)
        await kept.ended.wait()
        if kept.exited is None:
            raise NotFound(f"no container {container_id}")
        return kept.exited

    async def stop(self, container_id: str, *, grace: timedelta) -> None:
        if (kept := self._kept.get(container_id)) is None:
            return
        kept.inside.stopping.set()
        if kept.run is not None and not kept.run.done():
            await asyncio.wait({kept.run}, timeout=grace.total_seconds())
            kept.run.cancel()
            await asyncio.wait({kept.run})

    async def remove(self, container_id: str, *, grace: timedelta) -> None:
        await self.stop(container_id, grace=grace)
        if kept := self._kept.pop(container_id, None):
            kept.ended.set()

    async def found(self, *, task_id: TaskId | None = None) -> Sequence[Found]:
        return [
            _found(name, kept)
            for name, kept in self._kept.items()
            if task_id is None or kept.inside.container.labels.get(LABEL_TASK) == task_id
        ]

    async def erase(self, directory: Path, image: str) -> None:
        await self.pull(image)
        await asyncio.to_thread(_empty, directory)

    async def describe(self) -> str:
        return "fake containers"

    async def close(self) -> None:
        for name in tuple(self._kept):
            await self.remove(name, grace=timedelta(0))

    def _get(self, container_id: str) -> _Kept:
        if container_id not in self._kept:
            raise NotFound(f"no container {container_id}")
        return self._kept[container_id]


async def _run(kept: _Kept, program: Program) -> None:
    kept.exited = Exited(code=KILLED)
    try:
        kept.exited = Exited(code=await program(kept.inside))
    finally:
        kept.ended.set()
        async with kept.inside.news:
            kept.inside.news.notify_all()


def _more(kept: _Kept, at: int) -> Callable[[], bool]:
    return lambda: len(kept.inside.output) > at or kept.ended.is_set()


def _found(name: str, kept: _Kept) -> Found:
    return Found(
        id=name,
        name=name,
        labels=kept.inside.container.labels,
        started=kept.run is not None,
        running=kept.run is not None and not kept.ended.is_set(),
    )


def _depth(mount: Mount) -> int:
    return len(PurePosixPath(mount.target).parts)


def _empty(directory: Path) -> None:
    for path in directory.iterdir():
        if path.is_dir() and not path.is_symlink():
            rmtree(path)
        else:
            path.unlink()
