from msgspec.structs import replace

from funnel.core.event import Change, Requeued
from funnel.core.fold import Progress, apply, begin
from funnel.core.state import State
from funnel.core.work import Cancel, Submit, Work, caused
from funnel.testing.build import EPOCH, accepted, created, logged, moved

NEW = begin(created())
T1 = NEW.task_id
TAKEN = apply(NEW, accepted(T1, "job-1"))


def work(before: Progress | None, *events: Change) -> list[Work]:
    after = before or NEW
    for event in events:
        after = apply(after, event)
    return [*caused(before, after)]


def test_a_new_task_is_to_be_submitted() -> None:
    assert work(None) == [Submit(T1, 1)]


def test_what_changes_nothing_outside_causes_nothing() -> None:
    for event in (logged(T1, "x"), moved(T1, State.RUNNING), moved(T1, State.COMPLETE)):
        assert work(TAKEN, event) == []


def test_a_canceled_task_is_stopped_once() -> None:
    canceled = apply(TAKEN, moved(T1, State.CANCELED))
    assert work(TAKEN, moved(T1, State.CANCELED)) == [Cancel(T1, 1, "job-1")]
    assert work(canceled, logged(T1, "stopping")) == []


def test_a_task_canceled_before_it_was_taken_is_stopped_when_it_is() -> None:
    canceled = apply(NEW, moved(T1, State.CANCELED))
    assert work(NEW, moved(T1, State.CANCELED)) == []
    assert work(canceled, accepted(T1, "job-1")) == [Cancel(T1, 1, "job-1")]


def test_a_new_attempt_stops_the_old_one_where_there_is_one() -> None:
    again = Requeued(T1, EPOCH, "lost")
    assert work(NEW, again) == [Submit(T1, 2)]
    assert work(NEW, Requeued(T1, EPOCH, "lost", 3.0)) == [Submit(T1, 2, 3.0)]
    assert work(TAKEN, again) == [Cancel(T1, 1, "job-1"), Submit(T1, 2)]


def test_work_follows_from_the_difference_whatever_lay_between() -> None:
    again = Requeued(T1, EPOCH, "lost")
    one_by_one = work(TAKEN, again) + work(apply(TAKEN, again), moved(T1, State.RUNNING))
    assert work(TAKEN, again, moved(T1, State.RUNNING)) == one_by_one
    assert work(TAKEN) == work(replace(TAKEN, version=9)) == []
