from collections import deque
from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import reduce
from itertools import pairwise, permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from funnel.core.container import Stream
from funnel.core.error import Fenced, Gap, InvalidTransition
from funnel.core.event import (
    Accepted,
    Batch,
    Change,
    ExecutorExited,
    ExecutorStarted,
    Logged,
    MetadataAdded,
    Moment,
    OutputsStored,
    Printed,
    Requeued,
    StateChanged,
    TimeTold,
)
from funnel.core.fold import EMPTY, Progress, apply, begin, extend
from funnel.core.state import FINAL, State, is_final
from funnel.core.task import ExecutorLog, OutputFileLog, TaskId
from funnel.testing.build import EPOCH, MINUTE, created

T1 = TaskId("t1")
LATER = EPOCH + timedelta(minutes=1)
STORED = OutputFileLog(url="s3://b/x", path="/x", size_bytes="5")
LIFE: tuple[Change, ...] = (
    Accepted(T1, EPOCH, "job-1"),
    StateChanged(T1, EPOCH, State.INITIALIZING),
    StateChanged(T1, EPOCH, State.RUNNING),
    ExecutorStarted(T1, EPOCH, 0),
    Logged(T1, EPOCH, "pulled"),
    Printed(T1, EPOCH, 0, Stream.STDOUT, 0, 2, "hi", 10),
    ExecutorExited(T1, EPOCH, 0, 3),
    MetadataAdded(T1, EPOCH, {"host": "n1"}),
    OutputsStored(T1, EPOCH, (STORED,)),
    StateChanged(T1, LATER, State.EXECUTOR_ERROR),
)
START = Progress(task_id=T1, queue="local")


def after(*events: Change, start: Progress = START) -> Progress:
    return reduce(apply, events, start)


def test_a_new_task_is_queued() -> None:
    new = created(queue="slurm")
    assert begin(new) == Progress(task_id=new.task_id, queue="slurm")
    assert (START.state, START.version, START.fence, START.logs) == (State.QUEUED, 1, 1, (EMPTY,))


def test_what_a_life_leaves_behind() -> None:
    end = after(*LIFE)
    (log,) = end.logs
    assert (end.state, end.native_id) == (State.EXECUTOR_ERROR, "job-1")
    assert log.logs == (ExecutorLog(start_time=EPOCH, end_time=EPOCH, exit_code=3),)
    assert (log.metadata, log.outputs) == ({"host": "n1"}, (STORED,))
    assert (log.start_time, log.end_time) == (EPOCH, LATER)


@given(st.lists(st.tuples(st.integers(1, 10), st.integers(1, 10)), max_size=20))
def test_however_often_a_batch_is_sent_the_fold_is_the_same(sent: list[tuple[int, int]]) -> None:
    """Any resends, as long as the writer never skips what was not yet answered."""
    now = START
    for first, count in [*sent, (1, 10)]:
        if first <= now.heard + 1:
            events = LIFE[first - 1 : first - 1 + count]
            now, _ = extend(now, Batch(task_id=T1, events=events, fence=1, first=first))
    assert now.heard == len(LIFE)
    assert now.version == 1 + len(LIFE)
    assert (now.state, now.logs) == (after(*LIFE).state, after(*LIFE).logs)


def cuts(events: tuple[Change, ...]) -> Iterator[list[Batch]]:
    """All ways to say them in batches, one behind the other."""
    for chosen in product([False, True], repeat=len(events) - 1):
        marks = [0, *(n for n, cut in enumerate(chosen, 1) if cut), len(events)]
        yield [
            Batch(task_id=T1, events=events[first:end], fence=1, first=first + 1)
            for first, end in pairwise(marks)
        ]


def delivered(batches: Sequence[Batch]) -> Progress:
    """In this order, and what came too early is sent again, until all has arrived."""
    now, waiting = START, deque(batches)
    while waiting:
        one = waiting.popleft()
        try:
            now, _ = extend(now, one)
        except Gap:
            waiting.append(one)
    return now


def test_in_whatever_order_batches_arrive_the_fold_is_the_same() -> None:
    """Each way to cut five events, each batch of them twice, in each order: 6,002 deliveries."""
    life = (*LIFE[:2], *LIFE[3:5], LIFE[-1])
    whole, tried = after(*life), 0
    for batches in cuts(life):
        for twice in batches:
            for order in permutations([*batches, twice]):
                now = delivered(order)
                assert (now.heard, now.version, now.logs) == (5, 6, whole.logs)
                tried += 1
    assert tried == 6002


def test_what_an_old_attempt_still_says_changes_nothing() -> None:
    again, _ = extend(after(*LIFE[:5]), Batch(task_id=T1, events=(Requeued(T1, EPOCH, "lost"),)))
    for batches in cuts(LIFE[:5]):
        for one in batches:
            with pytest.raises(Fenced):
                extend(again, one)


@given(st.lists(st.sampled_from(LIFE), max_size=12), st.integers(0, 12))
def test_where_a_batch_is_cut_makes_no_difference(events: list[Change], cut: int) -> None:
    events = [one for one in events if not isinstance(one, StateChanged)]
    one, _ = extend(START, Batch(task_id=T1, events=tuple(events)))
    half, _ = extend(START, Batch(task_id=T1, events=tuple(events[:cut])))
    both, _ = extend(half, Batch(task_id=T1, events=tuple(events[cut:])))
    assert one == both


@pytest.mark.parametrize("state", sorted(FINAL))
def test_after_the_end_only_text_is_heard(state: State) -> None:
    end = after(*LIFE[:-1], StateChanged(T1, LATER, state))
    for said in LIFE:
        if isinstance(said, Logged | Printed | Accepted):
            assert after(said, start=end).state is state
        elif not isinstance(said, StateChanged):
            with pytest.raises(InvalidTransition, match=f"already {state}"):
                apply(end, said)
    with pytest.raises(InvalidTransition):
        apply(end, Requeued(T1, LATER, "again"))


def test_the_end_is_told_once() -> None:
    end = after(*LIFE)
    again = apply(end, StateChanged(T1, LATER + timedelta(1), State.EXECUTOR_ERROR))
    assert again.logs == end.logs


def test_who_does_not_count_tells_an_end_once() -> None:
    """As a client does that cancels again, since it has not heard the answer."""
    canceled = Batch(task_id=T1, events=(StateChanged(T1, EPOCH, State.CANCELED),))
    end, first = extend(START, canceled)
    again, second = extend(end, canceled)
    assert (again, len(first), second) == (end, 1, ())


def test_the_end_of_the_task_ends_an_executor_that_was_at_work() -> None:
    (log,) = after(
        ExecutorStarted(T1, EPOCH, 0),
        ExecutorExited(T1, EPOCH, 0, 0),
        ExecutorStarted(T1, EPOCH, 1),
        StateChanged(T1, LATER, State.CANCELED),
    ).logs
    assert [(one.end_time, one.exit_code) for one in log.logs] == [(EPOCH, 0), (LATER, None)]


def test_times_that_are_told_are_those_that_are_shown() -> None:
    """The end of a task that was told before its last state, too."""
    times = [EPOCH + n * MINUTE for n in range(4)]
    (log,) = after(
        StateChanged(T1, times[3], State.RUNNING),
        TimeTold(T1, times[0], Moment.TASK_STARTED),
        ExecutorStarted(T1, times[0], 0),
        ExecutorStarted(T1, times[0], 1),
        ExecutorExited(T1, times[3], 1, 0),
        TimeTold(T1, times[1], Moment.EXECUTOR_ENDED, 1),
        TimeTold(T1, times[2], Moment.TASK_ENDED),
        StateChanged(T1, times[3], State.COMPLETE),
    ).logs
    assert (log.start_time, log.end_time) == (times[0], times[2])
    assert [one.end_time for one in log.logs] == [times[2], times[1]]


def test_executors_are_found_by_their_index() -> None:
    (log,) = after(ExecutorExited(T1, EPOCH, 2, 7)).logs
    assert [one.exit_code for one in log.logs] == [None, None, 7]


def test_metadata_is_added_to() -> None:
    (log,) = after(
        MetadataAdded(T1, EPOCH, {"a": "1", "b": "1"}), MetadataAdded(T1, EPOCH, {"b": "2"})
    ).logs
    assert log.metadata == {"a": "1", "b": "2"}


def test_a_new_attempt_starts_over_with_a_higher_fence() -> None:
    again = after(*LIFE[:-1], Requeued(T1, LATER, "lost", 2.5))
    assert (again.state, again.fence, again.heard, again.native_id) == (State.QUEUED, 2, 0, "")
    assert (again.version, again.pause) == (1 + len(LIFE), 2.5)
    assert again.logs == (replace(after(*LIFE[:-1]).logs[0], end_time=LATER), EMPTY)


def test_who_asks_for_a_new_attempt_is_heard_no_more() -> None:
    said = Batch(task_id=T1, events=(*LIFE[:4], Requeued(T1, LATER, "lost")), fence=1, first=1)
    now, _ = extend(START, said)
    assert (now.fence, now.heard) == (2, 0)
    with pytest.raises(Fenced):
        extend(now, said)


def test_a_lost_batch_is_asked_for() -> None:
    with pytest.raises(Gap, match="t1 has heard 0; send again from 1"):
        extend(START, Batch(task_id=T1, events=LIFE[1:], fence=1, first=2))


def test_a_stale_fence_is_refused() -> None:
    with pytest.raises(Fenced, match="at attempt 1, not 2"):
        extend(START, Batch(task_id=T1, events=LIFE, fence=2, first=1))


def test_who_does_not_count_is_always_heard() -> None:
    said = Batch(task_id=T1, events=(LIFE[0],))
    now, news = extend(START, said)
    assert (now.heard, now.version, news) == (0, 2, (LIFE[0],))


@given(st.lists(st.sampled_from(State), max_size=8))
def test_no_sequence_of_states_leaves_an_end(states: list[State]) -> None:
    now = START
    for state in states:
        before = now
        try:
            now = apply(now, StateChanged(T1, EPOCH, state))
        except InvalidTransition:
            continue
        assert not is_final(before.state) or now.state is before.state


def test_an_end_is_never_before_what_came_before_it() -> None:
    progress = after(
        StateChanged(T1, EPOCH, State.INITIALIZING),
        ExecutorStarted(T1, EPOCH + MINUTE, 0),
        StateChanged(T1, EPOCH - MINUTE, State.CANCELED),
    )
    assert progress.logs[0].end_time == EPOCH + MINUTE
    assert progress.logs[0].logs[0].end_time == EPOCH + MINUTE
