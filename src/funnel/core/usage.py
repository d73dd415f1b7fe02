"""What is told of one executor in the metadata of its attempt, and read there again."""

from collections.abc import Iterator, Mapping
from typing import Final

from funnel.core.container import Exited
from funnel.core.outcome import ExecutorFailed
from funnel.core.slots import GB
from funnel.core.task import TaskLog

OUT_OF_MEMORY: Final = "out_of_memory"
TIMED_OUT: Final = "timed_out"
NEVER_RAN: Final = "never_ran"
YES: Final = "true"


def measured(index: int, exited: Exited, *, timed_out: bool) -> Mapping[str, str]:
    """What is known of a container that has ended; flags only where they are true."""
    return {key(index, name): value for name, value in _measured(exited, timed_out=timed_out)}


def key(index: int, name: str) -> str:
    return f"executor.{index}.{name}"


def failure(log: TaskLog, index: int) -> ExecutorFailed:
    """The failure of an executor that has ended, as its attempt tells it."""

    def told(name: str) -> bool:
        return log.metadata.get(key(index, name)) == YES

    return ExecutorFailed(
        index,
        log.logs[index].exit_code or 0,
        out_of_memory=told(OUT_OF_MEMORY),
        timed_out=told(TIMED_OUT),
        never_ran=told(NEVER_RAN),
    )


def out_of_memory(index: int, memory_bytes: int, *, asked: bool) -> str:
    """What to say; `memory_bytes` is the limit, which the task may have asked for itself."""
    if not memory_bytes:
        return (
            f"executor {index} ran out of memory: this machine had no more;"
            " ask for what it needs with resources.ram_gb"
        )
    had = memory_bytes / GB
    whence = "resources.ram_gb" if asked else "the server's default"
    return (
        f"executor {index} ran out of memory: it had {had:g} GB ({whence}) and used all of it;"
        f" ask for more, for instance ram_gb: {2 * had:g}"
    )


def _measured(exited: Exited, *, timed_out: bool) -> Iterator[tuple[str, str]]:
    usage = exited.usage
    if usage.peak_memory_bytes is not None:
        yield "peak_memory_bytes", str(usage.peak_memory_bytes)
    if usage.cpu_seconds is not None:
        yield "cpu_seconds", f"{usage.cpu_seconds:.3f}"
    if exited.oom_killed:
        yield OUT_OF_MEMORY, YES
    if timed_out:
        yield TIMED_OUT, YES
