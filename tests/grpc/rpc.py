"""The gRPC door on a database of the test's own, with a channel to it."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from doors import INFO
from grpc.aio import Channel, insecure_channel

from funnel.api.grpc.door import GrpcDoor
from funnel.api.grpc.services import make_door
from funnel.api.settings import Limits
from funnel.core.access import TaskAccess
from funnel.metrics import Metrics
from funnel.ports import Database
from funnel.service.submit import Submit
from funnel.service.tasks import TaskService
from funnel.service.together import alongside
from funnel.testing.build import EPOCH, new_id

PARAMETERS = frozenset({"vmsize", "max_attempts", "retry_on"})


def door(
    database: Database, metrics: Metrics | None = None, limits: Limits | None = None
) -> GrpcDoor:
    submit = Submit(
        database, queue="local", parameters=PARAMETERS, new_id=new_id, now=lambda: EPOCH
    )
    return make_door(
        tasks=TaskService(submit, database, TaskAccess.ALL),
        info=INFO,
        metrics=metrics or Metrics(),
        limits=limits or Limits(),
    )


@asynccontextmanager
async def channel(of: GrpcDoor) -> AsyncGenerator[Channel]:
    port = of.listen("127.0.0.1", 0)
    async with alongside(of.serve()), insecure_channel(f"127.0.0.1:{port}") as opened:
        yield opened
