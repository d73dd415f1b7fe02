"""Which waiting attempts may start on this machine now."""

from collections.abc import Iterable, Sequence
from typing import Final

from msgspec.structs import replace

from funnel.core.task import TaskId
from funnel.core.value import Value

GB: Final = 1_000_000_000


class Slot(Value):
    """CPUs and bytes of memory: what there is, what is free, or what one attempt holds."""

    cpus: float
    memory_bytes: int

    def fits(self, free: "Slot") -> bool:
        return self.cpus <= free.cpus and self.memory_bytes <= free.memory_bytes

    def less(self, held: "Slot") -> "Slot":
        return Slot(self.cpus - held.cpus, self.memory_bytes - held.memory_bytes)


class Waiting(Value):
    """An attempt that wants a slot; `passed` counts the later ones that started before it."""

    task_id: TaskId
    fence: int
    wants: Slot
    passed: int = 0


def refusal(wants: Slot, capacity: Slot) -> str:
    """Why an attempt can never start here; empty where it can."""
    if wants.cpus > capacity.cpus:
        return f"the task asks for {wants.cpus:g} CPUs, and this machine has {capacity.cpus:g}"
    if wants.memory_bytes > capacity.memory_bytes:
        asked, there = wants.memory_bytes / GB, capacity.memory_bytes / GB
        return f"the task asks for {asked:.1f} GB of memory, and this machine has {there:.1f} GB"
    return ""


def choose(
    waiting: Iterable[Waiting], free: Slot, *, least: Slot, most_passes: int
) -> tuple[tuple[Waiting, ...], tuple[Waiting, ...]]:
    """
    Those that start now, and those that were looked at and wait on, both in order.

    A later attempt may pass one that does not fit yet, but no attempt is passed more than
    `most_passes` times: then all wait for it, so nobody starves. None wants less than `least`,
    so a long queue is looked at no further than there is room.
    """
    chosen: list[Waiting] = []
    left: list[Waiting] = []
    for one in waiting:
        # The first that waits has been passed as often as any behind it.
        blocked = bool(left) and left[0].passed >= most_passes
        if blocked or not least.fits(free):
            break
        if not one.wants.fits(free):
            left.append(one)
            continue
        free = free.less(one.wants)
        chosen.append(one)
        left = [replace(other, passed=other.passed + 1) for other in left]
    return tuple(chosen), tuple(left)


def total(slots: Sequence[Slot]) -> Slot:
    return Slot(sum(one.cpus for one in slots), sum(one.memory_bytes for one in slots))
