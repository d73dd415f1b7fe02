"""Running one attempt at a task from start to end."""

import asyncio
import logging
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from dataclasses import replace as replace_field
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from funnel.core.attempts import Again, again, asked
from funnel.core.ending import ended
from funnel.core.error import Fenced, FunnelError, InvalidTransition, NotFound
from funnel.core.event import (
    Batch,
    Change,
    Level,
    Logged,
    MetadataAdded,
    OutputsStored,
    Printed,
    StateChanged,
)
from funnel.core.fold import Progress
from funnel.core.outcome import (
    Finished,
    Outcome,
    SystemFailed,
    final_state,
    may_pass,
)
from funnel.core.plan import Plan, is_without_files
from funnel.core.slots import GB
from funnel.core.state import State, is_final
from funnel.core.storageaccess import NO_RULES, StorageRules
from funnel.core.task import ExecutorLog, Task, TaskId, TaskLog
from funnel.core.usage import PUBLISHING, RUNNING, STAGING, WAITING, failure, seconds
from funnel.core.view import bare
from funnel.metrics import Metrics
from funnel.net.jitter import chance, jittered
from funnel.ports import Clock, Record, Runtime, Storage
from funnel.service.budget import Budget
from funnel.service.executor import LINGER, Bench, Run
from funnel.service.journal import Journal
from funnel.service.limit import Limit
from funnel.service.permitted import permitted
from funnel.service.publish import publish
from funnel.service.remains import Remains, image_of
from funnel.service.settings import WorkerSettings
from funnel.service.stage import lay_out, planned, stage
from funnel.service.transfers import Transfers
from funnel.service.workplace import Owner, Workplace
from funnel.together import alongside, lingering, together, undisturbed

log = logging.getLogger(__name__)

VERSION: Final = version("funnel-tes")

PACE: Final = timedelta(seconds=5)
"""Notes wait no longer than this where no other pace is set."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """
    Runs attempts in this process; `hostname` is told to readers, `luck` is from 0 to 1.

    `database` names the one that tasks are in: others on the same work directory may have another.
    """

    tasks: Record
    storage: Storage
    runtime: Runtime
    budget: Budget
    settings: WorkerSettings
    hostname: str
    deployment: str
    database: str = ""
    access: StorageRules = NO_RULES
    now: Clock
    metrics: Metrics
    luck: Callable[[], float] = chance

    async def run(self, task_id: TaskId, fence: int) -> None:
        """
        Run an attempt, or what an earlier worker left of it, to its end or to the next attempt.

        When this is cancelled, the database decides: of a task that is over, the containers
        are stopped; of any other they are left to the next worker.
        """
        created = await self.tasks.created(task_id)
        progress = await self.tasks.progress(task_id)
        storage = permitted(self.storage, self.access, created.owner)
        await Try(replace_field(self, storage=storage), bare(created, progress), fence).run(
            progress
        )

    def place(self, task_id: TaskId, fence: int) -> Workplace:
        return Workplace.of(Path(self.settings.work_dir), task_id, fence)

    def remains(self, task_id: TaskId, fence: int, image: str) -> Remains:
        """What an attempt leaves behind here."""
        return Remains(
            task_id=task_id,
            fence=fence,
            place=self.place(task_id, fence),
            runtime=self.runtime,
            image=image,
            grace=self.settings.stop_grace,
            keep_files=self.settings.leave_work_dir,
        )

    def heard(self, event: Change) -> None:
        """Count what was kept."""
        self.metrics.journaled(type(event).__name__)
        match event:
            case Printed(stream=stream):
                self.metrics.printed(stream)
            case Logged(message="download finished", fields=fields):
                self.metrics.moved("in", int(fields["size"]))
            case Logged(message="upload finished", fields=fields):
                self.metrics.moved("out", int(fields["size"]))
            case _:
                pass


class Try:
    """One attempt at a task."""

    def __init__(self, worker: Worker, task: Task, fence: int) -> None:
        self._worker = worker
        self._task = task
        self._fence = fence
        self._asked = asked(task.resources.backend_parameters)
        self._remains = worker.remains(task.id, fence, image_of(task))
        self._place = self._remains.place
        self._spent: dict[str, str] = {}
        self._has_place = (
            worker.runtime.has_files
            or not is_without_files(task)
            or bool(self._asked.timeout)
            or task.state is not State.QUEUED
        )
        """Whether there are directories for it, which cost more than all the rest of a task."""

    async def run(self, before: Progress) -> None:
        if is_final(before.state) or before.fence != self._fence:
            await undisturbed(self._remains.clear())
            return
        metrics, began, end = self._worker.metrics, time.monotonic(), "LEFT"
        journal = Journal(
            self._worker.tasks, before, since=self._since(before), heard=self._worker.heard
        )
        metrics.attempt_began()
        try:
            async with alongside(journal.keep_up(self._worker.settings.log_update_rate or PACE)):
                outcome = await self._outcome(journal, before)
                end = await self._finish(journal, outcome)
        except (Fenced, InvalidTransition, NotFound) as word:
            log.info("attempt %d of %s is over: %s", self._fence, self._task.id, word)
            end = "OVER"
        except asyncio.CancelledError:
            if not await asyncio.shield(self._is_over()):
                raise
            end = "OVER"
        finally:
            metrics.attempt_ended(end, time.monotonic() - began)
        await undisturbed(self._leave(journal, is_over=end == "OVER"))

    async def _outcome(self, journal: Journal, before: Progress) -> Outcome:
        try:
            return await self._steps(journal, before)
        except (Fenced, InvalidTransition):
            raise
        except FunnelError as error:
            return SystemFailed(str(error), may_pass(error))
        except OSError as error:
            return SystemFailed(self._place.blame(error), may_pass(error))
        except Exception as error:
            log.exception("attempt %d of %s met a fault of ours", self._fence, self._task.id)
            return SystemFailed(f"a fault of Funnel itself, please report it: {error!r}")

    async def _steps(self, journal: Journal, before: Progress) -> Outcome:
        if before.state is State.QUEUED:
            await journal.note(*self._beginning(before))
        is_new = before.state is not State.RUNNING
        if self._has_place:
            # What a thread still makes when the attempt has been cleared away, would stay.
            laying_out = asyncio.to_thread(self._laid_out, is_new=is_new)
            plan, empty = await lingering(laying_out, LINGER)
        else:
            plan, empty = self._planned(), ()
        bench = self._bench(journal, plan)
        if is_new:
            with self._timed(STAGING):
                await self._prepare(bench, empty)
            await journal.note(StateChanged(self._task.id, self._worker.now(), State.RUNNING))
        with self._timed(RUNNING):
            outcome = await self._execute(bench, before.logs[-1])
        if before.logs[-1].logs:
            # How long a worker before us ran it, is not known.
            del self._spent[RUNNING]
        if self._again(journal, outcome):
            return outcome
        with self._timed(PUBLISHING):
            return await self._publish(bench, outcome, before)

    @contextmanager
    def _timed(self, what: str) -> Generator[None]:
        """Note how long it takes."""
        began = time.monotonic()
        try:
            yield
        finally:
            self._spent[what] = seconds(time.monotonic() - began)

    def _beginning(self, before: Progress) -> tuple[Change, ...]:
        task_id, now = self._task.id, self._worker.now()
        waited = (now - self._since(before)).total_seconds()
        metadata = {"hostname": self._worker.hostname, WAITING: seconds(waited)}
        return (
            StateChanged(task_id, now, State.INITIALIZING),
            self._logged("Version", Level.INFO, {"Version": VERSION}),
            MetadataAdded(task_id, now, metadata),
        )

    def _since(self, before: Progress) -> datetime:
        """When this attempt began to wait."""
        queued = before.logs[-2].end_time if before.logs[1:] else self._task.creation_time
        return queued or self._worker.now()

    def _bench(self, journal: Journal, plan: Plan) -> Bench:
        settings, resources = self._worker.settings, self._task.resources
        memory = (resources.ram_gb or settings.default_ram_gb) * GB
        return Bench(
            task=self._task,
            fence=self._fence,
            plan=plan,
            place=self._place,
            journal=journal,
            runtime=self._worker.runtime,
            pace=settings.pace,
            limit=Limit(self._asked.timeout, self._place.began),
            grace=settings.stop_grace,
            cpus=float(resources.cpu_cores or settings.default_cpu_cores),
            memory_bytes=round(memory),
            now=self._worker.now,
            is_over=self._is_over,
        )

    def _laid_out(self, *, is_new: bool) -> tuple[Plan, Sequence[str]]:
        """The plan, all of it made that need not be brought, and inputs that are empty; blocks."""
        worker = self._worker
        self._place.make(Owner(worker.deployment, self._remains.image, worker.database))
        plan = self._planned()
        return plan, lay_out(plan, self._place.root) if is_new else ()

    def _planned(self) -> Plan:
        """Blocks where the task has inputs."""
        worker, root = self._worker, self._place.root
        return planned(self._task, root, worker.storage, copy_inputs=worker.settings.copy_inputs)

    async def _prepare(self, bench: Bench, empty: Sequence[str]) -> None:
        """Bring inputs and images, both at once."""
        await self._remains.clear_before()
        images = dict.fromkeys(one.image for one in self._task.executors)
        await together(
            [
                stage(bench.plan, self._place.root, self._transfers(bench.journal), empty),
                *(self._pull(image) for image in images),
            ]
        )

    async def _pull(self, image: str) -> None:
        began = time.monotonic()
        await self._worker.runtime.pull(image)
        self._worker.metrics.pulled(time.monotonic() - began)

    async def _execute(self, bench: Bench, before: TaskLog) -> Outcome:
        container_id = ""
        for index, executor in enumerate(self._task.executors):
            known = _known(before, index)
            if not known or known.exit_code is None:
                container_id = await Run(bench, index, known).to_exit(container_id)
            failed = failure(bench.journal.progress.logs[-1], index)
            if failed.timed_out or (failed.code and not executor.ignore_error):
                return failed
        return Finished()

    async def _publish(self, bench: Bench, outcome: Outcome, before: Progress) -> Outcome:
        """Of a failed attempt too, what is there; its first failure stays its outcome."""
        if before.logs[-1].outputs or not self._task.outputs:
            return outcome
        ok = isinstance(outcome, Finished)
        try:
            stored = await publish(
                self._task,
                bench.tree(),
                self._transfers(bench.journal),
                strict=self._worker.settings.strict_outputs,
                ok=ok,
            )
        except (FunnelError, OSError) as error:
            if ok or isinstance(error, Fenced | InvalidTransition):
                raise
            await bench.journal.note(
                self._logged("upload failed", Level.ERROR, {"error": str(error)})
            )
            return outcome
        if stored:
            await bench.journal.note(OutputsStored(self._task.id, self._worker.now(), stored))
        return outcome

    async def _finish(self, journal: Journal, outcome: Outcome) -> str:
        """Say how it ended, and in a word."""
        if self._spent:
            await journal.note(MetadataAdded(self._task.id, self._worker.now(), self._spent))
        now = self._worker.now()
        if isinstance(outcome, Finished):
            await journal.record(StateChanged(self._task.id, now, final_state(outcome)))
            return final_state(outcome)
        following = self._again(journal, outcome)
        await journal.record(*ended(self._task.id, now, outcome, following))
        return "REQUEUED" if following else final_state(outcome)

    def _again(self, journal: Journal, outcome: Outcome) -> Again | None:
        """The attempt that shall follow."""
        if isinstance(outcome, Finished):
            return None
        following = again(outcome, journal.progress.logs, self._asked)
        pause = jittered(following.pause, self._worker.luck()) if following else 0.0
        return following and replace(following, pause=pause)

    async def _is_over(self) -> bool:
        """Whether others have ended it; not, where that cannot be known now."""
        try:
            progress = await self._worker.tasks.progress(self._task.id)
        except NotFound:
            return True
        except (FunnelError, OSError):
            return False
        return is_final(progress.state) or progress.fence != self._fence

    async def _leave(self, journal: Journal, *, is_over: bool) -> None:
        """Clear up, and where the task was cancelled, tell its readers that nothing runs."""
        with suppress(FunnelError, OSError):
            await journal.last_words()
        await self._remains.clear(had_place=self._has_place)
        if not is_over:
            return
        tasks, task_id = self._worker.tasks, self._task.id
        with suppress(FunnelError, OSError):
            if (await tasks.progress(task_id)).state is State.CANCELED:
                canceled = self._logged("Canceled", Level.INFO, {})
                await tasks.append(Batch(task_id=task_id, events=(canceled,), fence=self._fence))

    def _transfers(self, journal: Journal) -> Transfers:
        async def note(level: Level, message: str, fields: Mapping[str, str]) -> None:
            await journal.note(self._logged(message, level, fields))

        worker = self._worker
        return Transfers(
            worker.storage, note, worker.settings.max_parallel_transfers, worker.budget
        )

    def _logged(self, message: str, level: Level, fields: Mapping[str, str]) -> Logged:
        return Logged(self._task.id, self._worker.now(), message, level, fields)


def _known(log: TaskLog, index: int) -> ExecutorLog | None:
    return log.logs[index] if index < len(log.logs) else None
