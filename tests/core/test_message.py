from collections.abc import Sequence

import pytest

from funnel.core.event import (
    Accepted,
    Change,
    Created,
    ExecutorExited,
    ExecutorStarted,
    MetadataAdded,
    Moment,
    OutputsStored,
    Recorded,
    Requeued,
    TimeTold,
)
from funnel.core.message import Type, messages
from funnel.core.state import State
from funnel.core.task import OutputFileLog, TaskId
from funnel.testing.build import EPOCH, created, logged, moved

ID = TaskId("t1")
FILE = OutputFileLog(url="file:///out", path="/out", size_bytes="12")
SENT: Sequence[tuple[Change, Sequence[Type]]] = (
    (Requeued(ID, EPOCH, "lost"), [Type.TASK_STATE]),
    (Accepted(ID, EPOCH, "job-1"), []),
    (moved(ID, State.INITIALIZING), [Type.TASK_STATE, Type.TASK_START_TIME]),
    (moved(ID, State.RUNNING), [Type.TASK_STATE]),
    (moved(ID, State.COMPLETE), [Type.TASK_END_TIME, Type.TASK_STATE]),
    (ExecutorStarted(ID, EPOCH, 3), [Type.EXECUTOR_START_TIME]),
    (ExecutorExited(ID, EPOCH, 3, 0), [Type.EXECUTOR_END_TIME, Type.EXECUTOR_EXIT_CODE]),
    (TimeTold(ID, EPOCH, Moment.TASK_STARTED), [Type.TASK_START_TIME]),
    (TimeTold(ID, EPOCH, Moment.TASK_ENDED), [Type.TASK_END_TIME]),
    (TimeTold(ID, EPOCH, Moment.EXECUTOR_ENDED, 3), [Type.EXECUTOR_END_TIME]),
    (OutputsStored(ID, EPOCH, (FILE,)), [Type.TASK_OUTPUTS]),
    (MetadataAdded(ID, EPOCH, {"hostname": "h"}), [Type.TASK_METADATA]),
    (logged(ID, "hello"), [Type.SYSTEM_LOG]),
)


@pytest.mark.parametrize(("event", "types"), SENT)
def test_an_event_is_told_by_messages_of_its_types(event: Change, types: Sequence[Type]) -> None:
    told = [*messages(Recorded(9, 4, event), 2)]
    assert [one.message.type for one in told] == types
    assert [one.key for one in told] == [f"t1-4-{part}" for part in range(len(types))]
    for one in told:
        assert (one.message.id, one.message.timestamp, one.message.attempt) == (ID, EPOCH, 1)


@pytest.mark.parametrize(("event", "_types"), SENT)
def test_each_message_has_one_thing_to_say(event: Change, _types: Sequence[Type]) -> None:
    given = ("state", "start_time", "end_time", "outputs", "metadata", "exit_code", "system_log")
    for one in messages(Recorded(9, 4, event), 1):
        assert sum(getattr(one.message, name) is not None for name in (*given, "task")) == 1


def test_what_is_about_an_executor_names_it() -> None:
    for event in (ExecutorStarted(ID, EPOCH, 3), ExecutorExited(ID, EPOCH, 3, 1)):
        assert {one.message.index for one in messages(Recorded(9, 4, event), 1)} == {3}


def test_a_new_task_is_told_as_clients_see_it() -> None:
    new: Created = created(name="n", tags={"k": "v"})
    (told,) = messages(Recorded(1, 1, new), 1)
    task = told.message.task
    assert task is not None
    assert (task.id, task.state, task.name, task.tags) == (
        new.task_id,
        State.QUEUED,
        "n",
        {"k": "v"},
    )
    assert (task.executors, task.creation_time) == (new.spec.executors, new.at)
