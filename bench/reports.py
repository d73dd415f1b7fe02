"""
Workers that have much to say, or nothing: so many connections, each with one attempt.

Reads one JSON object from standard input: `port`, `tasks` (their ids), `seconds` and `events`, of
which each report has so many; with 0 it connects, says so, and stays until its input is closed.
Prints one JSON object: events per second that were acknowledged, and the share of a processor that
this process took itself. Reports are closed loops: each is on the server's disk before the next.
"""

import asyncio
import json
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from grpc import aio
from msgspec import json as ours

from funnel.core.event import Logged
from funnel.core.task import TaskId
from funnel.testing.build import EPOCH
from funnel.wire.gen import worker_pb2 as pb
from funnel.wire.gen.worker_pb2_grpc import WorkerServiceStub

TEXT = "download finished: one of the inputs of this task"
OPTIONS = (("grpc.use_local_subchannel_pool", 1),)


async def work(port: int, task_id: str, events: int, end: float) -> int:
    """How many events were acknowledged."""
    one = Logged(TaskId(task_id), EPOCH, TEXT, fields={"url": "file:///data/reads.fastq.gz"})
    body = ours.encode([one] * events)
    said = 0
    async with connected(port, task_id) as stream:
        while time.perf_counter() < end:
            frame = pb.Frame(first=said + 1, events=body)
            await stream.write(pb.Report(number=2, frame=frame))
            _expect(await stream.read(), "kept")
            said += events
    return said


def _expect(order: pb.Order, what: str) -> None:
    if order.WhichOneof("what") != what:
        raise RuntimeError(f"the server has answered {order}")


async def idle(port: int, tasks: list[str]) -> None:
    """Connected, and silent."""
    async with AsyncExitStack() as stack:
        for task_id in tasks:
            await stack.enter_async_context(connected(port, task_id))
        sys.stdout.write("connected\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)


@asynccontextmanager
async def connected(port: int, task_id: str) -> AsyncGenerator[Any]:
    """The stream of a worker that has got its attempt."""
    async with aio.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS) as channel:
        stream: Any = WorkerServiceStub(channel).Work()
        hello = pb.Hello(protocol=1, task_id=task_id, holder="bench")
        await stream.write(pb.Report(number=1, hello=hello))
        _expect(await stream.read(), "assigned")
        yield stream
        stream.cancel()


async def main() -> None:
    asked = json.loads(sys.stdin.readline())
    port, tasks, events = asked["port"], asked["tasks"], asked["events"]
    if not events:
        await idle(port, tasks)
        return
    began, cpu = time.perf_counter(), time.process_time()
    end = began + asked["seconds"]
    said = await asyncio.gather(*(work(port, task_id, events, end) for task_id in tasks))
    took = time.perf_counter() - began
    own = (time.process_time() - cpu) / took
    sys.stdout.write(json.dumps({"rate": sum(said) / took, "own_cpu": own, "events": sum(said)}))


if __name__ == "__main__":
    asyncio.run(main())
