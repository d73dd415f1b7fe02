"""Tasks over gRPC."""

from typing import TYPE_CHECKING

import grpc
import pytest
from grpc.aio import AioRpcError

from funnel.wire.gen import tes_pb2 as pb

if TYPE_CHECKING:
    from funnel.wire.gen.tes_pb2_grpc import TaskServiceAsyncStub

STEP = pb.Executor(image="alpine", command=["true"])


async def test_a_task_is_created_read_listed_and_cancelled(tes: "TaskServiceAsyncStub") -> None:
    made = await tes.CreateTask(pb.Task(name="n", executors=[STEP]))
    task = await tes.GetTask(pb.GetTaskRequest(id=made.id, view="BASIC"))
    assert (task.id, task.name, task.state) == (made.id, "n", pb.QUEUED)
    assert list(task.executors) == [STEP]
    page = await tes.ListTasks(pb.ListTasksRequest())
    assert [one.id for one in page.tasks] == [made.id]
    await tes.CancelTask(pb.CancelTaskRequest(id=made.id))
    assert (await tes.GetTask(pb.GetTaskRequest(id=made.id))).state == pb.CANCELED


async def test_a_task_that_is_not_there_is_not_found(tes: "TaskServiceAsyncStub") -> None:
    with pytest.raises(AioRpcError) as caught:
        await tes.GetTask(pb.GetTaskRequest(id="none"))
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND
