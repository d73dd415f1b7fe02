"""How often a task is tried, for which reasons, and how long a try may take."""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import islice, takewhile
from typing import Final, assert_never

from msgspec.structs import replace

from funnel.core.backoff import delays
from funnel.core.duration import parse
from funnel.core.error import Invalid, Problem
from funnel.core.outcome import ExecutorFailed, Failed, SystemFailed
from funnel.core.task import TaskLog
from funnel.core.value import Value

MOST: Final = 10
STARTS: Final = 6
"""Attempts, one after the other, of which none comes to start a container."""
NOT_STARTED: Final = "not_started"
"""The reason of an attempt that follows one which met a fault of the moment in time."""
WHERE: Final = "resources.backend_parameters"
MOST_OF_CODES: Final = 255
SHOWN: Final = 40
TIMED_OUT: Final = 124
"""The exit code of a container that a time limit has stopped, as `timeout` has it."""


class Parameter(StrEnum):
    """The backend parameters that say it."""

    MAX_ATTEMPTS = "max_attempts"
    RETRY_ON = "retry_on"
    TIMEOUT = "timeout"


class Reason(StrEnum):
    """The words of `retry_on`; those in the middle are kinds of the first."""

    EXECUTOR_ERROR = "executor_error"
    OUT_OF_MEMORY = "out_of_memory"
    TIMEOUT = "timeout"
    SYSTEM_ERROR = "system_error"


PARAMETERS: Final = frozenset(one.value for one in Parameter)
ANY: Final = frozenset({Reason.EXECUTOR_ERROR, Reason.SYSTEM_ERROR})


class Asked(Value, kw_only=True):
    """
    What a task asks for: attempts in which its containers may start, and when to try again.

    `timeout` is in seconds, from the start of the first container; 0 is no limit.
    """

    max_attempts: int = 1
    reasons: frozenset[Reason] = ANY
    codes: frozenset[int] = frozenset()
    timeout: float = 0.0


class Again(Value):
    """`number` is that of the next attempt, and `pause` the seconds to wait before it."""

    number: int
    pause: float
    reason: str


def asked(parameters: Mapping[str, str]) -> Asked:
    """
    Read the backend parameters; those of other names are passed over. Raises `Invalid`.

    >>> asked({"max_attempts": "3", "retry_on": "out_of_memory, 75"}).codes
    frozenset({75})
    """
    problems: list[Problem] = []
    read, names = Asked(), set[str]()
    for key, text in parameters.items():
        if key.lower() in names and key.lower() in PARAMETERS:
            problems.append(Problem(f"{WHERE}.{key}", "given twice, in another spelling"))
            continue
        names.add(key.lower())
        try:
            read = _with(read, key.lower(), text.strip())
        except Invalid as error:
            problems.append(Problem(f"{WHERE}.{key}", str(error)))
    if Parameter.RETRY_ON in names and Parameter.MAX_ATTEMPTS not in names:
        where = f"{WHERE}.{Parameter.RETRY_ON}"
        problems.append(Problem(where, "needs max_attempts, which is 1 unless the task says more"))
    if problems:
        lines = "; ".join(f"{one.field}: {one.message}" for one in problems)
        raise Invalid(f"invalid task message: {lines}", tuple(problems))
    return read


def again(failed: Failed, logs: Sequence[TaskLog], wanted: Asked) -> Again | None:
    """
    The attempt that shall follow a failed one; None where the task ends with it.

    `logs` are those of all attempts at the task, the failed one the last. What failed before
    a container could have started, by a fault of the moment, is tried again unasked.
    """
    before = len([*takewhile(lambda log: not started(log), reversed(logs))])
    if before:
        passing = isinstance(failed, SystemFailed) and failed.passing
        tries, most, reason = before, STARTS, NOT_STARTED if passing else ""
    else:
        tries = sum(started(log) for log in logs)
        most, reason = wanted.max_attempts, _reason(failed, wanted)
    if not reason or tries >= most:
        return None
    return Again(len(logs) + 1, _pause(tries), reason)


def started(log: TaskLog) -> bool:
    """Whether a container of this attempt may have started."""
    return any(one.start_time for one in log.logs)


def _pause(tries: int) -> float:
    return next(islice(delays(first=1.0, factor=3.0), tries - 1, None))


def _reason(failed: Failed, wanted: Asked) -> str:
    """The word of `retry_on` that is met; "" where none is."""
    return next((word for word in _words(failed) if word in _wanted_words(wanted)), "")


def _wanted_words(wanted: Asked) -> frozenset[str]:
    return frozenset(map(str, wanted.codes)) | wanted.reasons


def _words(failed: Failed) -> Iterator[str]:
    """What the failure may be called, the most telling first."""
    match failed:
        case ExecutorFailed(never_ran=True):
            return
        case ExecutorFailed():
            if failed.timed_out:
                yield Reason.TIMEOUT
            if failed.out_of_memory:
                yield Reason.OUT_OF_MEMORY
            yield str(failed.code)
            yield Reason.EXECUTOR_ERROR
        case SystemFailed():
            yield Reason.SYSTEM_ERROR
        case _:
            assert_never(failed)


def _with(read: Asked, name: str, text: str) -> Asked:
    match name:
        case Parameter.MAX_ATTEMPTS:
            return replace(read, max_attempts=_count(text))
        case Parameter.RETRY_ON:
            words = frozenset(word.strip().lower() for word in text.split(","))
            reasons = frozenset(Reason(word) for word in words & set(Reason))
            return replace(read, reasons=reasons, codes=frozenset(map(_code, words - reasons)))
        case Parameter.TIMEOUT:
            return replace(read, timeout=_seconds(text))
        case _:
            return read


def _count(text: str) -> int:
    number = _number(text)
    if not 1 <= number <= MOST:
        raise Invalid(f"must be a whole number from 1 to {MOST}, not {_cut(text)!r}")
    return number


def _code(word: str) -> int:
    number = _number(word)
    if not 1 <= number <= MOST_OF_CODES:
        words = ", ".join(Reason)
        raise Invalid(f"must be a list of {words} and exit codes from 1 to 255, not {_cut(word)!r}")
    return number


def _number(text: str) -> int:
    """0 for what is none."""
    return int(text) if re.fullmatch(r"[0-9]{1,9}", text) else 0


def _cut(text: str) -> str:
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def _seconds(text: str) -> float:
    seconds = parse(text).total_seconds()
    if seconds <= 0:
        raise Invalid(f"must be longer than nothing, not {_cut(text)!r}")
    return seconds
