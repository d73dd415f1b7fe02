"""How an attempt ends: a value, decided once."""

from typing import TypeAlias, assert_never

from funnel.core.state import State
from funnel.core.value import Value


class Finished(Value): ...


class ExecutorFailed(Value):
    index: int
    code: int


class SystemFailed(Value):
    reason: str


Outcome: TypeAlias = Finished | ExecutorFailed | SystemFailed


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
