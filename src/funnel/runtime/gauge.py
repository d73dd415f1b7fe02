"""What containers use: the engine does not say after their end, so it is read until then."""

import asyncio
import os
from contextlib import suppress
from typing import Final

from funnel.core.container import Usage
from funnel.runtime.cgroup import Group, group_of

PACE: Final = 1.0


class Gauge:
    """
    Reads the counters of one container now and then, and once more as its first process ends.

    With that, all others in it have ended too, and the engine takes a while to remove the
    group. Reading takes some microseconds of the kernel, so it is done on the loop: a thread
    would come too late for the last time.
    """

    def __init__(self, pid: int, group: Group) -> None:
        self._loop = asyncio.get_running_loop()
        self._group = group
        self._counted = group.count()
        self._timer = self._loop.call_later(PACE, self._again)
        self._process = -1
        # Without it, the last counts are those of the last look.
        with suppress(OSError, AttributeError):
            self._process = os.pidfd_open(pid)
            self._loop.add_reader(self._process, self._last)

    @property
    def usage(self) -> Usage:
        now = self._counted
        return Usage(peak_memory_bytes=now.peak_memory_bytes, cpu_seconds=now.cpu_seconds)

    @property
    def oom_killed(self) -> bool:
        return self._counted.oom_kills > 0

    def close(self) -> None:
        self._timer.cancel()
        if self._process >= 0:
            self._loop.remove_reader(self._process)
            os.close(self._process)
            self._process = -1

    def _again(self) -> None:
        self._look()
        self._timer = self._loop.call_later(PACE, self._again)

    def _last(self) -> None:
        self._look()
        self.close()

    def _look(self) -> None:
        self._counted = self._counted.and_then(self._group.count())


class Gauges:
    """Those of all containers that somebody waits for, by id."""

    def __init__(self) -> None:
        self._gauges: dict[str, Gauge] = {}

    def watch(self, container_id: str, pid: int) -> None:
        """Begin, unless it has begun; `pid` is that of its first process, 0 where it has none."""
        if pid and container_id not in self._gauges and (group := group_of(pid, container_id)):
            self._gauges[container_id] = Gauge(pid, group)

    def of(self, container_id: str) -> Gauge | None:
        return self._gauges.get(container_id)

    def forget(self, container_id: str) -> None:
        if gauge := self._gauges.pop(container_id, None):
            gauge.close()

    def close(self) -> None:
        for one in tuple(self._gauges):
            self.forget(one)
