"""The gRPC door on a database of the test's own, with a channel to it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from doors import INFO, tasks_of
from grpc.aio import Channel, insecure_channel

from funnel.api.grpc.door import GrpcDoor
from funnel.api.grpc.services import make_door
from funnel.api.settings import Limits
from funnel.metrics import Metrics
from funnel.ports import Database
from funnel.service.callers import Callers
from funnel.service.tasks import TaskService
from funnel.service.together import alongside


def door(
    database: Database,
    metrics: Metrics | None = None,
    limits: Limits | None = None,
    *,
    callers: Callers | None = None,
    tasks: TaskService | None = None,
) -> GrpcDoor:
    return make_door(
        tasks=tasks or tasks_of(database),
        identify=(callers or Callers()).caller_of,
        info=INFO,
        metrics=metrics or Metrics(),
        limits=limits or Limits(),
    )


@asynccontextmanager
async def channel(of: GrpcDoor) -> AsyncGenerator[Channel]:
    port = of.listen("127.0.0.1", 0)
    async with alongside(of.serve()), insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
