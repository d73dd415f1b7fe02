"""The connections of a server, which cannot use it up: neither by their number nor by slowness."""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, Protocol

from funnel.api.settings import Connections

QUIET: Final = 1.0
"""Seconds; who has been quiet for less is about to ask."""
SPARE: Final = 200
"""Connections beyond the limit, to be told so; any more wait to be let in."""


class Guest(Protocol):
    """One connection."""

    is_idle: bool
    """It has had its answer, and nothing has come since."""

    def hurry(self, now: float, write_seconds: float) -> None:
        """Give up what takes too long."""
        ...

    def finish(self) -> None:
        """Close when all that has arrived is answered."""
        ...

    def close(self) -> None:
        """In peace; asked again, at once."""
        ...

    def abort(self) -> None: ...


class Crowd:
    """
    All connections of a server.

    A new one takes the place of the one that has been quiet longest: that has no request, or
    is still sending the headers of one. Where all are at work, it is told to come again.
    """

    def __init__(self, limits: Connections) -> None:
        self.limits = limits
        self._left = asyncio.Event()
        self._all = set[Guest]()
        self._quiet = dict[Guest, float]()

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Guest]:
        """Those that are there now; they may leave meanwhile."""
        return iter(tuple(self._all))

    def enter(self, one: Guest, now: float) -> bool:
        """Whether there is a place for it."""
        if len(self) >= self.limits.most:
            self._make_place(now)
        has_place = len(self) < self.limits.most
        self._all.add(one)
        self.quiet(one, now)
        return has_place

    async def room(self) -> None:
        """Return when one more may be let in, be it to tell it that there is no place."""
        now = asyncio.get_running_loop().time
        while len(self) >= self.limits.most + SPARE:
            self._make_place(now())
            await self.left(QUIET)

    async def left(self, within: float) -> None:
        """Return when a connection has gone, or after so many seconds."""
        self._left.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._left.wait()

    def leave(self, one: Guest) -> None:
        self._left.set()
        self._all.discard(one)
        self._quiet.pop(one, None)

    def quiet(self, one: Guest, now: float) -> None:
        """It waits for a request, or a request of it for the rest of its headers."""
        self._quiet.pop(one, None)
        self._quiet[one] = now

    def busy(self, one: Guest) -> None:
        self._quiet.pop(one, None)

    def sweep(self, now: float) -> None:
        """Give up those that take too long."""
        limits = self.limits
        for one, since in tuple(self._quiet.items()):
            if now - since > (limits.idle_seconds if one.is_idle else limits.header_seconds):
                one.close()
        for one in self:
            one.hurry(now, limits.write_seconds)

    def _make_place(self, now: float) -> None:
        for one, since in self._quiet.items():
            if now - since > QUIET:
                self.leave(one)
                one.close()
            return
