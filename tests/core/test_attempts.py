from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from funnel.core.attempts import MOST, STARTS, Again, Asked, Reason, again, asked
from funnel.core.error import FunnelError, Invalid, NoSpace, NotFound, Unavailable
from funnel.core.outcome import ExecutorFailed, Failed, SystemFailed, may_pass
from funnel.core.task import ExecutorLog, TaskLog
from funnel.testing.build import EPOCH

STARTED = TaskLog(logs=(ExecutorLog(start_time=EPOCH),), outputs=())
NOT_STARTED = TaskLog(logs=(ExecutorLog(),), outputs=())
FAILED = ExecutorFailed(0, 3)
AWAY = SystemFailed("away", passing=True)

failures = st.one_of(
    st.builds(
        ExecutorFailed,
        st.just(0),
        st.integers(1, 255),
        out_of_memory=st.booleans(),
        timed_out=st.booleans(),
        never_ran=st.booleans(),
    ),
    st.builds(SystemFailed, st.just("why"), passing=st.booleans()),
)
histories = st.lists(st.sampled_from([STARTED, NOT_STARTED]), min_size=1, max_size=20)
wishes = st.builds(
    Asked,
    max_attempts=st.integers(1, MOST),
    reasons=st.frozensets(st.sampled_from(Reason)),
    codes=st.frozensets(st.integers(1, 255), max_size=3),
)


@given(failures, histories)
def test_user_code_runs_once_unless_the_task_asks_for_more(
    failed: Failed, logs: list[TaskLog]
) -> None:
    assert again(failed, [*logs, STARTED], Asked()) is None


@given(failures, wishes)
def test_attempts_come_to_an_end_whatever_was_asked_for(failed: Failed, wanted: Asked) -> None:
    for log in (STARTED, NOT_STARTED):
        logs = [log]
        while again(failed, logs, wanted):
            logs.append(log)
        assert len(logs) <= max(MOST, STARTS)


@given(failures, histories, wishes)
def test_no_more_containers_start_than_was_asked_for(
    failed: Failed, logs: list[TaskLog], wanted: Asked
) -> None:
    if again(failed, [*logs, STARTED], wanted):
        assert logs.count(STARTED) + 1 < wanted.max_attempts


@given(failures, histories, wishes)
def test_the_fault_of_a_task_is_not_tried_again(
    failed: Failed, logs: list[TaskLog], wanted: Asked
) -> None:
    following = again(failed, [*logs, NOT_STARTED], wanted)
    if isinstance(failed, ExecutorFailed) or not failed.passing:
        assert following is None


def test_what_had_no_time_to_start_is_tried_again_unasked() -> None:
    pauses = [again(AWAY, [NOT_STARTED] * n, Asked()) for n in range(1, STARTS + 1)]
    assert [one and (one.number, one.pause) for one in pauses] == [
        (2, 1.0),
        (3, 3.0),
        (4, 9.0),
        (5, 27.0),
        (6, 60.0),
        None,
    ]


def test_starts_that_failed_before_a_container_ran_do_not_count_later() -> None:
    earlier = [NOT_STARTED] * 5 + [STARTED]
    wanted = asked({"max_attempts": "2"})
    assert again(FAILED, earlier, wanted) == Again(7, 1.0, "executor_error")
    assert again(AWAY, [*earlier, NOT_STARTED], wanted) == Again(8, 1.0, "not_started")
    assert again(FAILED, [*earlier, NOT_STARTED, STARTED], wanted) is None


@pytest.mark.parametrize(
    ("retry_on", "failed", "reason"),
    [
        ("", FAILED, "executor_error"),
        ("", SystemFailed("lost"), "system_error"),
        ("", ExecutorFailed(0, 127, never_ran=True), None),
        ("executor_error", SystemFailed("lost"), None),
        ("executor_error", ExecutorFailed(0, 137, out_of_memory=True), "executor_error"),
        ("out_of_memory", ExecutorFailed(0, 137, out_of_memory=True), "out_of_memory"),
        ("out_of_memory", ExecutorFailed(0, 137), None),
        ("timeout", ExecutorFailed(0, 124, timed_out=True), "timeout"),
        ("timeout", ExecutorFailed(0, 124), None),
        ("75, System_Error", ExecutorFailed(0, 75), "75"),
        ("75, System_Error", SystemFailed("lost"), "system_error"),
        ("75, System_Error", FAILED, None),
    ],
)
def test_what_is_tried_again(retry_on: str, failed: Failed, reason: str | None) -> None:
    given = {"max_attempts": "3"} | ({"Retry_On": retry_on} if retry_on else {})
    following = again(failed, [STARTED], asked(given))
    assert (following.reason if following else None) == reason


def test_what_is_asked_for_is_read() -> None:
    assert asked({}) == asked({"queue": "gpu"}) == Asked()
    assert asked({"Max_Attempts": "3", "TIMEOUT": "1h30m"}) == Asked(max_attempts=3, timeout=5400.0)
    assert asked({"timeout": "90"}).timeout == 90.0


@pytest.mark.parametrize(
    ("given", "field", "words"),
    [
        ({"max_attempts": "0"}, "max_attempts", "a whole number from 1 to 10, not '0'"),
        ({"max_attempts": "11"}, "max_attempts", "a whole number from 1 to 10"),
        ({"Max_Attempts": "two"}, "Max_Attempts", "a whole number from 1 to 10"),
        ({"retry_on": "timeout"}, "retry_on", "needs max_attempts"),
        ({"max_attempts": "2", "retry_on": "oom"}, "retry_on", "timeout, system_error and exit"),
        ({"max_attempts": "2", "retry_on": "256"}, "retry_on", "from 1 to 255, not '256'"),
        ({"max_attempts": "2", "retry_on": ""}, "retry_on", "not ''"),
        ({"timeout": "soon"}, "timeout", "'soon' is not a duration"),
        ({"timeout": "0s"}, "timeout", "longer than nothing"),
        ({"timeout": "-5m"}, "timeout", "longer than nothing"),
    ],
)
def test_what_cannot_be_read_is_named(given: Mapping[str, str], field: str, words: str) -> None:
    with pytest.raises(Invalid, match=field) as error:
        asked(given)
    (problem,) = error.value.problems
    assert problem.field == f"resources.backend_parameters.{field}"
    assert words in problem.message


@pytest.mark.parametrize(
    ("error", "passing"),
    [
        (Unavailable(), True),
        (NoSpace(), True),
        (OSError(28, "no space left"), True),
        (OSError(30, "read-only file system"), True),
        (TimeoutError(), True),
        (ConnectionResetError(), True),
        (NotFound("no such file"), False),
        (Invalid("no such scheme"), False),
        (FunnelError("?"), False),
        (PermissionError(13, "no"), False),
        (ZeroDivisionError(), False),
    ],
)
def test_some_faults_pass(error: Exception, passing: object) -> None:
    assert may_pass(error) is passing
