"""How an attempt ends: a value, decided once."""

import errno
from typing import Final, TypeAlias, assert_never

from funnel.core.error import Busy, NoSpace, Unavailable
from funnel.core.state import State
from funnel.core.value import Value

PASSING: Final = frozenset(
    {
        errno.EAGAIN,
        errno.EBUSY,
        errno.EDQUOT,
        errno.EHOSTUNREACH,
        errno.EINTR,
        errno.EIO,
        errno.EMFILE,
        errno.ENETUNREACH,
        errno.ENFILE,
        errno.ENOENT,
        errno.ENOMEM,
        errno.ENOSPC,
        errno.EROFS,
        errno.ESTALE,
    }
)
"""What the system says when another time may do, or once somebody has seen to the disk."""


class Finished(Value): ...


class ExecutorFailed(Value):
    """
    A container ended with this code, or had to be ended.

    `never_ran` says that what the task asks cannot be started, so it will not be next time.
    """

    index: int
    code: int
    out_of_memory: bool = False
    timed_out: bool = False
    never_ran: bool = False


class SystemFailed(Value):
    """`passing` says that the same may go well another time."""

    reason: str
    passing: bool = False


Failed: TypeAlias = ExecutorFailed | SystemFailed
Outcome: TypeAlias = Finished | Failed


def final_state(outcome: Outcome) -> State:
    match outcome:
        case Finished():
            return State.COMPLETE
        case ExecutorFailed():
            return State.EXECUTOR_ERROR
        case SystemFailed():
            return State.SYSTEM_ERROR
        case _:
            assert_never(outcome)


def describe(failed: Failed) -> str:
    """What went wrong, for people."""
    if isinstance(failed, SystemFailed):
        return failed.reason
    return f"executor {failed.index} ended with exit code {failed.code}"


def may_pass(error: Exception) -> bool:
    """Whether it is the fault of the moment, rather than that of the task or of the program."""
    if isinstance(error, OSError) and error.errno in PASSING:
        return True
    return isinstance(error, Unavailable | Busy | NoSpace | ConnectionError | TimeoutError)
