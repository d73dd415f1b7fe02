"""Files of attempts that are over: of a worker that died, or could not clear up after itself."""

import asyncio
import logging
import os
from collections.abc import Collection, Iterator
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

from funnel.core.error import FunnelError, NotFound
from funnel.core.state import is_final
from funnel.core.task import TaskId
from funnel.service.remains import Remains, image_of
from funnel.service.worker import Worker
from funnel.service.workplace import Owner

log = logging.getLogger(__name__)

Key: TypeAlias = tuple[TaskId, int]


async def clear_forever(worker: Worker, every: timedelta) -> None:
    """At once, and then what has been over for some time, since workers clear up by themselves."""
    over = await clear_leftovers(worker)
    while True:
        await asyncio.sleep(every.total_seconds())
        over = await clear_leftovers(worker, among=over)


async def clear_leftovers(
    worker: Worker, *, among: Collection[Key] | None = None
) -> Collection[Key]:
    """
    Remove them, all or only those `among` some; all that there were.

    What belongs to no task that we know, and was not made here, is not ours to judge, and stays.
    """
    over = set[Key]()
    if worker.settings.leave_work_dir:
        return over
    work_dir = Path(worker.settings.work_dir)
    try:
        for task_id, fence in await asyncio.to_thread(lambda: list(_attempts(work_dir))):
            if remains := await _over(worker, task_id, fence):
                over.add((task_id, fence))
                if among is None or (task_id, fence) in among:
                    log.info("clearing up after attempt %d of %s", fence, task_id)
                    await remains.clear()
    except (FunnelError, OSError) as error:
        log.warning("files of attempts that are over stay in %s: %s", work_dir, error)
    return over


def _attempts(work_dir: Path) -> Iterator[tuple[TaskId, int]]:
    """
    Those that have a directory; 0 stands for all of a task whose own is empty.

    None where nothing can be removed now.
    """
    is_ready = work_dir.is_dir() and os.access(work_dir, os.W_OK)
    for top in work_dir.iterdir() if is_ready else ():
        if top.is_dir() and not top.is_symlink():
            names = [one.name for one in top.iterdir()] or ["0"]
            yield from ((TaskId(top.name), int(name)) for name in names if name.isdecimal())


async def _over(worker: Worker, task_id: TaskId, fence: int) -> Remains | None:
    """What this attempt leaves, where it is over."""
    try:
        progress = await worker.tasks.progress(task_id)
        if not is_final(progress.state) and fence in (0, progress.fence):
            return None
        created = await worker.tasks.created(task_id)
    except NotFound:
        return await _forgotten(worker, task_id, fence)
    return worker.remains(task_id, fence, image_of(created.spec))


async def _forgotten(worker: Worker, task_id: TaskId, fence: int) -> Remains | None:
    """Of a task that was deleted before all of it was cleared away."""
    owner = await asyncio.to_thread(worker.place(task_id, fence).owner)
    if owner is None or not _is_ours(worker, owner):
        return None
    return worker.remains(task_id, fence, owner.image)


async def is_foreign(worker: Worker, task_id: TaskId, fence: int) -> bool:
    """Whether an attempt, of a task that we do not know, is of another server's database."""
    owner = await asyncio.to_thread(worker.place(task_id, fence).owner)
    return owner is not None and not _is_ours(worker, owner)


def _is_ours(worker: Worker, owner: Owner) -> bool:
    return owner.deployment == worker.deployment and owner.database in {"", worker.database}
