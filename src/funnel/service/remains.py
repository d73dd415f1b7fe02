"""What an attempt leaves behind: its containers and its files."""

import asyncio
import logging
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from funnel.core.container import LABEL_ATTEMPT, Found
from funnel.core.error import FunnelError
from funnel.core.task import Spec, TaskId
from funnel.ports import Runtime
from funnel.service.workplace import Workplace
from funnel.together import together

log = logging.getLogger(__name__)

NOW: Final = timedelta(0)
SILENCE: Final = timedelta(seconds=10)
"""So long the engine may take for each removal, beside what the container has to end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remains:
    """Those of one attempt; `image` is one that the runtime may use to delete files."""

    task_id: TaskId
    fence: int
    place: Workplace
    runtime: Runtime
    image: str
    grace: timedelta
    keep_files: bool

    async def clear(self, *, had_place: bool = True) -> None:
        """Leave nothing; what cannot be removed now is left to the sweep."""
        try:
            # A server that stops waits for this, and an engine may be silent for long.
            async with asyncio.timeout((self.grace + SILENCE).total_seconds()):
                await remove_attempts(self.runtime, self.task_id, self.fence, grace=self.grace)
            if had_place and not self.keep_files:
                await self.place.clear(self.runtime, self.image)
        except (FunnelError, OSError) as error:
            log.warning("attempt %d of %s left something: %s", self.fence, self.task_id, error)

    async def clear_before(self) -> None:
        """Remove what runs of earlier attempts, whose names are needed now."""
        if self.fence > 1:
            await remove_attempts(self.runtime, self.task_id, self.fence - 1, grace=self.grace)


async def remove_attempts(
    runtime: Runtime, task_id: TaskId, most: int, *, grace: timedelta
) -> None:
    """Remove the containers of the attempts up to this one; those that run have `grace` to end."""
    found = await runtime.found(task_id=task_id)
    ours = [one for one in found if attempt_of(one) <= most]
    await together(runtime.remove(one.id, grace=grace if one.running else NOW) for one in ours)


def image_of(spec: Spec) -> str:
    """One of a task that may be used to delete files; empty where it names none."""
    return spec.executors[0].image if spec.executors else ""


def attempt_of(one: Found) -> int:
    """Which one a container is of; 0 where it does not say."""
    label = one.labels.get(LABEL_ATTEMPT, "")
    return int(label) if label.isdecimal() else 0
