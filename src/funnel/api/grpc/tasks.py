"""`tes.TaskService`: the operations of TES on tasks."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeAlias

from grpc.aio import ServicerContext
from msgspec.structs import replace

from funnel.api.admission import Admission
from funnel.api.grpc.entrance import caller
from funnel.api.keys import IDEMPOTENCY_KEY, read_key
from funnel.api.query import Asked, query_of, view_of
from funnel.api.settings import Limits
from funnel.core.info import ServiceInfo
from funnel.core.query import Query, Scope
from funnel.core.task import TaskId
from funnel.service.tasks import TaskService
from funnel.wire.document import read_page
from funnel.wire.gen import tes_pb2 as pb
from funnel.wire.gen.tes_pb2_grpc import TaskServiceServicer
from funnel.wire.protobuf import read_spec, write_task, write_time

LARGEST_PAGE: Final = 4_000_000
"""Bytes; a client takes 4 MiB where it has not been told to take more."""

Context: TypeAlias = ServicerContext[Any, Any]


class TaskServicer(TaskServiceServicer):
    """Reads messages and writes messages; the rest is the service's."""

    def __init__(self, tasks: TaskService, info: ServiceInfo, limits: Limits) -> None:
        self._tasks = tasks
        self._info = write_info(info)
        self._creates = Admission(limits.creates, limits.turn_seconds)
        self._lists = Admission(limits.lists, limits.turn_seconds)

    async def CreateTask(self, request: pb.Task, context: Context) -> pb.CreateTaskResponse:
        given = context.invocation_metadata() or ()
        keys = [str(value) for name, value in given if name == IDEMPOTENCY_KEY]
        async with self._creates:
            spec = read_spec(request)
            task_id = await self._tasks.create(spec, caller(), key=read_key(keys))
        return pb.CreateTaskResponse(id=task_id)

    async def GetTask(self, request: pb.GetTaskRequest, context: Context) -> pb.Task:
        del context
        view = view_of(Asked({"view": [request.view]}))
        return write_task(await self._tasks.get(TaskId(request.id), view, caller()))

    async def ListTasks(
        self, request: pb.ListTasksRequest, context: Context
    ) -> pb.ListTasksResponse:
        del context
        ask = partial(query_of, _asked(request))
        async with self._lists:
            page = await self._page(ask)
            while len(page.tasks) > 1 and (size := page.ByteSize()) > LARGEST_PAGE:
                fewer = max(1, len(page.tasks) * LARGEST_PAGE * 9 // (size * 10))
                page = await self._page(partial(_shorter, ask, fewer))
        return page

    async def _page(self, ask: Callable[[Scope], Query]) -> pb.ListTasksResponse:
        page = read_page(await self._tasks.list_tasks(ask, caller()))
        tasks = map(write_task, page.tasks)
        return pb.ListTasksResponse(tasks=tasks, next_page_token=page.next_page_token)

    async def CancelTask(
        self, request: pb.CancelTaskRequest, context: Context
    ) -> pb.CancelTaskResponse:
        """A task that has ended stays as it is; that is no error."""
        del context
        await self._tasks.cancel(TaskId(request.id), caller())
        return pb.CancelTaskResponse()

    async def GetServiceInfo(
        self, request: pb.GetServiceInfoRequest, context: Context
    ) -> pb.ServiceInfo:
        del request, context
        return self._info


def _shorter(ask: Callable[[Scope], Query], size: int, scope: Scope) -> Query:
    return replace(ask(scope), page_size=size)


def _asked(request: pb.ListTasksRequest) -> Asked:
    """As a URL would say it."""
    return Asked(
        {
            "name_prefix": [request.name_prefix],
            "state": [str(request.state)],
            "tag_key": request.tag_key,
            "tag_value": request.tag_value,
            "page_size": [str(request.page_size)],
            "page_token": [request.page_token],
            "view": [request.view],
        }
    )


def write_info(info: ServiceInfo) -> pb.ServiceInfo:
    return pb.ServiceInfo(
        id=info.id,
        name=info.name,
        type=pb.ServiceType(
            group=info.type.group, artifact=info.type.artifact, version=info.type.version
        ),
        organization={"name": info.organization.name, "url": info.organization.url},
        version=info.version,
        storage=info.storage,
        tesResources_backend_parameters=info.backend_parameters,
        description=info.description,
        contactUrl=info.contact_url,
        documentationUrl=info.documentation_url,
        createdAt=write_time(info.created_at),
        updatedAt=write_time(info.updated_at),
        environment=info.environment,
    )
