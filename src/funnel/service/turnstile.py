"""Limits for each of many, in a table that does not grow with how many there are."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from funnel.core.rate import Bucket, Rate

MOST: Final = 10_000
"""Of whom is known how much they have done; who was quiet for longest is forgotten first."""


class Seen:
    """Those that were here, of whom the last of each is known best."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._names: OrderedDict[str, None] = OrderedDict()

    def __contains__(self, who: str) -> bool:
        return who in self._names

    def add(self, who: str) -> None:
        self._names[who] = None
        self._names.move_to_end(who)
        if len(self._names) > self._most:
            self._names.popitem(last=False)


class Turnstile:
    """`clock` gives seconds and only goes forward."""

    def __init__(self, rate: Rate, clock: Callable[[], float], most: int = MOST) -> None:
        self._rate = rate
        self._clock = clock
        self._most = most
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    @property
    def is_quiet(self) -> bool:
        """Whether nobody is known."""
        return not self._buckets

    def wait(self, who: str) -> float:
        """Seconds until this one may go on; 0 where that is now."""
        return self._rate.wait(self._buckets.get(who), self._clock())

    def count(self, who: str) -> bool:
        """One more; whether it was the last for now."""
        now = self._clock()
        before = self._buckets.pop(who, None)
        after = self._buckets[who] = self._rate.taken(before, now)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return not self._rate.wait(before, now) and self._rate.wait(after, now) > 0
