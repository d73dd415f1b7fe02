"""Forgetting tasks that ended long ago."""

import asyncio
import logging
from datetime import timedelta

from funnel.core.error import FunnelError
from funnel.ports import Overview

log = logging.getLogger(__name__)

BATCH = 50
"""So few at once that a create in between waits no longer than for other creates."""
PAUSE = timedelta(milliseconds=50)


class Retention:
    """Deletes tasks that ended longer than `keep` ago; without one it keeps all for ever."""

    def __init__(self, overview: Overview, keep: timedelta | None) -> None:
        self._overview = overview
        self._keep = keep

    async def forever(self, every: timedelta) -> None:
        while True:
            try:
                await self.once()
            except (FunnelError, OSError) as error:
                log.warning("tasks that ended long ago stay for now: %s", error)
            await asyncio.sleep(every.total_seconds())

    async def once(self) -> int:
        """All that are due, in small batches with pauses; how many that were."""
        total = 0
        while self._keep is not None:
            deleted = await self._overview.delete_ended(self._keep, limit=BATCH)
            total += deleted
            if deleted < BATCH:
                break
            await asyncio.sleep(PAUSE.total_seconds())
        if total:
            log.info("deleted %d tasks that ended more than %s ago", total, self._keep)
        return total
