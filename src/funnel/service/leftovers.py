"""Files of attempts that are over, as a worker leaves them that dies while it clears up."""

import asyncio
import logging
from collections.abc import Iterator
from pathlib import Path

from funnel.core.error import FunnelError, NotFound
from funnel.core.query import EVERYONE, View
from funnel.core.state import is_final
from funnel.core.task import Task, TaskId
from funnel.service.worker import Worker

log = logging.getLogger(__name__)


async def clear_leftovers(worker: Worker) -> None:
    """
    Remove them, once, when a server starts.

    What belongs to no task that we know is not ours to judge, and stays.
    """
    if worker.settings.leave_work_dir:
        return
    work_dir = Path(worker.settings.work_dir)
    try:
        for task_id, fence in await asyncio.to_thread(lambda: list(_attempts(work_dir))):
            if task := await _over(worker, task_id, fence):
                log.info("clearing up after attempt %d of %s", fence, task_id)
                await worker.remains(task, fence).clear()
    except (FunnelError, OSError) as error:
        log.warning("files of attempts that are over stay in %s: %s", work_dir, error)


def _attempts(work_dir: Path) -> Iterator[tuple[TaskId, int]]:
    """Those that have a directory; 0 stands for all of a task whose own is empty."""
    for top in work_dir.iterdir() if work_dir.is_dir() else ():
        if top.is_dir() and not top.is_symlink():
            names = [one.name for one in top.iterdir()] or ["0"]
            yield from ((TaskId(top.name), int(name)) for name in names if name.isdecimal())


async def _over(worker: Worker, task_id: TaskId, fence: int) -> Task | None:
    """The task, where this attempt at it is over."""
    try:
        progress = await worker.tasks.progress(task_id)
    except NotFound:
        return None
    if not is_final(progress.state) and fence in (0, progress.fence):
        return None
    return await worker.tasks.get(task_id, View.BASIC, EVERYONE)
