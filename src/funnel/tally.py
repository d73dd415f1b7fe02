"""
What is counted at each request: the library's own counters, made for many threads, take too long.

All here belong to one thread.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import TypeAlias

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.registry import Collector

Labels: TypeAlias = tuple[str | int, ...]


class Tally(Collector):
    """A counter: to count, add to `of` some labels."""

    def __init__(self, name: str, text: str, *labels: str) -> None:
        self.of: defaultdict[Labels, int] = defaultdict(int)
        self._name = name
        self._text = text
        self._labels = labels

    def collect(self) -> Iterator[CounterMetricFamily]:
        family = CounterMetricFamily(self._name, self._text, labels=self._labels)
        for labels, count in [*self.of.items()]:
            family.add_metric([*map(str, labels)], count)
        yield family


class Spread(Collector):
    """A histogram; without labels it is there before anything is `seen`."""

    def __init__(self, name: str, text: str, bounds: Sequence[float], *labels: str) -> None:
        self._name = name
        self._text = text
        self._bounds = bounds
        self._labels = labels
        self._counts: defaultdict[Labels, list[int]] = defaultdict(lambda: [0] * (len(bounds) + 1))
        self._sums: defaultdict[Labels, float] = defaultdict(float)
        if not labels:
            self._counts[()] += []

    def seen(self, amount: float, labels: Labels = ()) -> None:
        self._counts[labels][bisect_left(self._bounds, amount)] += 1
        self._sums[labels] += amount

    def collect(self) -> Iterator[HistogramMetricFamily]:
        family = HistogramMetricFamily(self._name, self._text, labels=self._labels)
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        for labels, counts in [*self._counts.items()]:
            buckets = [*zip(names, accumulate(counts), strict=True)]
            family.add_metric([*map(str, labels)], buckets, self._sums[labels])
        yield family
