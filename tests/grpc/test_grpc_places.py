"""Who takes whose place at the gRPC door."""

import asyncio

from grpc import StatusCode
from msgspec.structs import replace
from rpc import LIMITS, channel, door, over_grpc

from funnel.ports import Database
from funnel.wire.gen import tes_pb2 as pb
from funnel.wire.gen.tes_pb2_grpc import TaskServiceStub
from funnel.wire.gen.worker_pb2_grpc import WorkerServiceStub


async def test_workers_take_no_place_of_users(database: Database) -> None:
    limits = replace(LIMITS, calls=1, workers=2)
    async with channel(door(database, limits=limits)) as wire:
        connected = [WorkerServiceStub(wire).Work() for _ in range(3)]
        ended = [asyncio.ensure_future(one.code()) for one in connected]
        (refused,), _ = await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED, timeout=10)
        assert refused.result() is StatusCode.RESOURCE_EXHAUSTED
        tasks = TaskServiceStub(wire)
        assert (await over_grpc(tasks.ListTasks(pb.ListTasksRequest()))).code == "OK"
        for one in connected:
            one.cancel()
