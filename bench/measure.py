"""What a measurement is: its repeats, its aim, and how it is told."""

import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Pace:
    """How long to measure."""

    seconds: float
    repeats: int


@dataclass(frozen=True, slots=True)
class Aim:
    bound: float
    most: bool = False
    """Whether the figure may be no more than the bound; else it is no less."""

    def met(self, figure: float) -> bool:
        return figure <= self.bound if self.most else figure >= self.bound

    def told(self, unit: str) -> str:
        return f"{'≤' if self.most else '≥'} {told(self.bound, unit)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the results; the figure is the median of the repeats."""

    work: str
    unit: str
    repeats: Sequence[float]
    aim: Aim | None = None
    beside: Sequence[str] = ()

    @property
    def figure(self) -> float:
        return statistics.median(self.repeats)

    @property
    def _spread(self) -> str:
        if len(self.repeats) == 1:
            return ""
        return " to ".join(told(one, "") for one in (min(self.repeats), max(self.repeats)))

    @property
    def verdict(self) -> str:
        if self.aim is None:
            return ""
        return "met" if self.aim.met(self.figure) else "missed"

    @property
    def cells(self) -> tuple[str, str, str, str, str, str]:
        return (
            self.work,
            self.aim.told(self.unit) if self.aim else "",
            told(self.figure, self.unit),
            self._spread,
            self.verdict,
            "; ".join(self.beside),
        )


Part: TypeAlias = Callable[[Pace], Iterator[Row]]


def told(figure: float, unit: str) -> str:
    """Three digits that count, but for whole numbers, and the unit."""
    size = abs(figure)
    digits = 0 if size >= 100 or size == int(size) else 1 if size >= 10 else 2
    return f"{figure:,.{digits}f} {unit}".strip()


def timed(act: Callable[[], object]) -> float:
    """Seconds."""
    start = time.perf_counter()
    act()
    return time.perf_counter() - start


def in_turn(times: int, *acts: Callable[[], object]) -> Sequence[Sequence[float]]:
    """Seconds of each act, taken by turns so that all meet the same weather."""
    taken: list[list[float]] = [[] for _ in acts]
    for _ in range(times):
        for act, some in zip(acts, taken, strict=True):
            some.append(timed(act))
    return taken


def ratios(ours: Sequence[float], theirs: Sequence[float]) -> Sequence[float]:
    """Pair by pair."""
    return [one / other for one, other in zip(ours, theirs, strict=True)]


def quantile(figures: Sequence[float], share: float) -> float:
    return sorted(figures)[min(len(figures) - 1, int(len(figures) * share))]
