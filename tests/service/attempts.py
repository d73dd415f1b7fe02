"""A worker in this process, over a real database, and what a test wants to know of it."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

from byhand import PATIENCE, ByHand
from msgspec.structs import replace

from funnel.core.container import Container, Found, Stream
from funnel.core.event import Accepted, Batch
from funnel.core.fold import Progress
from funnel.core.storageaccess import NO_RULES
from funnel.core.task import Executor, Task, TaskId
from funnel.database.sqlite import PLUGIN, Settings, SqliteDatabase
from funnel.metrics import Metrics
from funnel.plugins import Host
from funnel.ports import Record, Runtime, Storage
from funnel.runtime.fake import Inside
from funnel.service.budget import Budget
from funnel.service.settings import WorkerSettings
from funnel.service.worker import Worker
from funnel.storage.local import LocalStorage
from funnel.storage.router import Router
from funnel.testing.build import EPOCH, created, new_id

HOST = Host(now=lambda: EPOCH, deployment="test")

Program = Callable[[Inside], Awaitable[int]]


def says(text: str | bytes, *, code: int = 0, stream: Stream = Stream.STDOUT) -> Program:
    """A program that prints and ends."""

    async def program(inside: Inside) -> int:
        await inside.write(text.encode() if isinstance(text, str) else text, stream)
        return code

    return program


def sees(programs: dict[str, Program], name: str, text: str = "") -> list[Container]:
    """Add a program that shows the containers it ran in."""
    seen: list[Container] = []

    async def program(inside: Inside) -> int:
        seen.append(inside.container)
        await inside.write(text.encode())
        return 0

    programs[name] = program
    return seen


async def stays(inside: Inside) -> int:
    """Run until it is told to stop."""
    await inside.write(b"here\n")
    await inside.stopping.wait()
    return 143


def step(program: str, *words: str, **given: Any) -> Executor:
    """An executor that runs a program, with one word at least: alone it were a line of shell."""
    asked: dict[str, Any] = {"image": "alpine", **given}
    return Executor(command=(program, *(words or ("please",))), **asked)


@asynccontextmanager
async def opened(folder: Path) -> AsyncGenerator[SqliteDatabase]:
    async with PLUGIN.make(Settings(path=str(folder / "funnel.db")), HOST) as database:
        yield database


class Counted:
    """A database that remembers the kinds of events of each append."""

    def __init__(self, database: SqliteDatabase) -> None:
        self.created = database.created
        self.progress = database.progress
        self._database = database
        self.batches: list[list[str]] = []

    async def append(self, batch: Batch) -> Progress:
        self.batches.append([type(one).__name__ for one in batch.events])
        return await self._database.append(batch)


class Bench(ByHand):
    """Everything that one worker needs; `files` is where tasks may read and write."""

    def __init__(self, database: SqliteDatabase, runtime: Runtime, folder: Path) -> None:
        super().__init__(database)
        self.runtime = runtime
        self.files = folder / "files"
        self.files.mkdir()
        self.work = folder / "work"
        self.storage: Storage = Router([LocalStorage([self.files])])
        self.settings: dict[str, Any] = {"log_update_rate": timedelta(milliseconds=10)}
        self.tasks: Record = database
        self.new_id = new_id
        self.access = NO_RULES

    def worker(self) -> Worker:
        return Worker(
            tasks=self.tasks,
            storage=self.storage,
            runtime=self.runtime,
            budget=Budget(),
            settings=WorkerSettings(
                work_dir=str(self.work), stop_grace=timedelta(seconds=1), **self.settings
            ),
            hostname="here",
            deployment=HOST.deployment,
            access=self.access,
            now=lambda: EPOCH,
            metrics=Metrics(),
        )

    async def create(self, *executors: Executor, **given: Any) -> TaskId:
        one = replace(created(executors=executors, **given), task_id=self.new_id())
        task_id = await self.database.create(one)
        await self.say(Accepted(task_id, EPOCH, f"{task_id}-1"))
        return task_id

    async def run(self, *executors: Executor, **given: Any) -> Task:
        """A new task, worked on until its end."""
        task_id = await self.create(*executors, **given)
        await self.work_on(task_id)
        return await self.see(task_id)

    async def work_on(self, task_id: TaskId, fence: int = 1) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.worker().run(task_id, fence)

    @asynccontextmanager
    async def working(self, task_id: TaskId) -> AsyncGenerator[asyncio.Task[None]]:
        """A worker at work, which is stopped when the test has seen enough."""
        work = asyncio.create_task(self.worker().run(task_id, 1))
        try:
            yield work
        finally:
            await stopped(work)

    async def prints(self, task_id: TaskId, text: str) -> None:
        """Wait until the task has printed this."""

        async def has() -> bool:
            logs = (await self.see(task_id)).logs[-1].logs
            return any(text in one.stdout for one in logs)

        await self.until(has)

    async def containers(self, task_id: TaskId) -> Mapping[str, Found]:
        return {one.name: one for one in await self.runtime.found(task_id=task_id)}


async def stopped(work: asyncio.Task[Any]) -> None:
    work.cancel()
    with suppress(asyncio.CancelledError):
        await work


def said(task: Task) -> str:
    """All system logs of the last attempt."""
    return "\n".join(task.logs[-1].system_logs)


def codes(task: Task) -> list[int | None]:
    return [one.exit_code for one in task.logs[-1].logs]


def left(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.exists() else []
