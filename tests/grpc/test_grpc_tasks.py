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


async def test_a_page_is_no_larger_than_what_clients_take(tes: "TaskServiceAsyncStub") -> None:
    contents = [pb.Input(path=f"/in/{n}", content="x" * 100_000) for n in range(5)]
    task = pb.Task(executors=[STEP], inputs=contents)
    made = [(await tes.CreateTask(task)).id for _ in range(20)]
    found, token, pages = list[str](), "", 0
    while token or not found:
        page = await tes.ListTasks(pb.ListTasksRequest(view="FULL", page_token=token))
        found += [one.id for one in page.tasks]
        token, pages = page.next_page_token, pages + 1
    assert found == made[::-1]
    assert 3 <= pages <= 5
