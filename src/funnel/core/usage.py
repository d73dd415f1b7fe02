"""What is told of one executor in the metadata of its attempt, and read there again."""

from collections.abc import Mapping
from typing import Final

from funnel.core.container import Exited, Usage
from funnel.core.outcome import ExecutorFailed
from funnel.core.slots import GB
from funnel.core.task import TaskLog

WAITING: Final = "seconds_waiting"
STAGING: Final = "seconds_staging"
RUNNING: Final = "seconds_running"
PUBLISHING: Final = "seconds_publishing"
OUT_OF_MEMORY: Final = "out_of_memory"
TIMED_OUT: Final = "timed_out"
NEVER_RAN: Final = "never_ran"
YES: Final = "true"


def measured(index: int, exited: Exited, *, timed_out: bool) -> Mapping[str, str]:
    """What is known of a container that has ended; flags only where they are true."""
    flags = {OUT_OF_MEMORY: exited.oom_killed, TIMED_OUT: timed_out}
    told = {**used(exited.usage), **{name: YES for name, true in flags.items() if true}}
    return {key(index, name): value for name, value in told.items()}


def seconds(spent: float) -> str:
    """As it is written; a clock that was put back makes no time negative."""
    return f"{max(0.0, spent):.3f}"


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


def used(usage: Usage) -> Mapping[str, str]:
    """Amounts by their names, which say the unit; what is not known is left out."""
    peak, cpu = usage.peak_memory_bytes, usage.cpu_seconds
    return ({} if peak is None else {"peak_memory_bytes": str(peak)}) | (
        {} if cpu is None else {"cpu_seconds": seconds(cpu)}
    )
