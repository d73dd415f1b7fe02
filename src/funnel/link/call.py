"""One connection of a worker to the server."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import grpc
from grpc import aio

from funnel.core.error import (
    Denied,
    Fenced,
    FunnelError,
    Gap,
    Invalid,
    InvalidTransition,
    NotFound,
    Unauthenticated,
    Unavailable,
)
from funnel.wire.gen import worker_pb2 as pb
from funnel.wire.gen.worker_pb2_grpc import WorkerServiceStub

OPTIONS: Final = (
    # A channel of our own: others to the same server may wait out their failures for long.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
)
REFUSED: Final[dict[int, type[FunnelError]]] = {
    pb.LATER: Unavailable,
    pb.FENCED: Fenced,
    pb.ENDED: InvalidTransition,
    pb.GONE: NotFound,
    pb.DENIED: Denied,
    pb.GAP: Gap,
    pb.INVALID: Invalid,
}
FOR_GOOD: Final = {
    grpc.StatusCode.UNAUTHENTICATED: Unauthenticated,
    grpc.StatusCode.PERMISSION_DENIED: Denied,
    grpc.StatusCode.UNIMPLEMENTED: Invalid,
}


def error_of(refused: pb.Refused) -> FunnelError:
    return REFUSED.get(refused.reason, Unavailable)(refused.message or None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Where the server is, what we show it, and how many seconds it has to answer."""

    address: str
    metadata: Sequence[tuple[str, str]] = ()
    credentials: grpc.ChannelCredentials | None = None
    timeout: float | None = 60.0


class Call:
    """Asks one thing after the other; `told` hears what the server says of itself."""

    def __init__(self, stream: Any, told: Callable[[pb.Refused], None]) -> None:
        self._stream = stream
        self._told = told
        self._number = 0
        self._answer = asyncio.get_running_loop().create_future()

    async def ask(self, report: pb.Report, within: float | None) -> pb.Order:
        """Raises `Unavailable` where no answer comes in so many seconds."""
        self._number += 1
        report.number = self._number
        self._answer = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(within):
                await self._stream.write(report)
                order: pb.Order = await self._answer
        except TimeoutError as error:
            raise Unavailable(f"the server has been silent for {within:.1f} s") from error
        except (aio.AioRpcError, asyncio.InvalidStateError) as error:
            raise _broken(error) from error
        return order

    async def listen(self) -> None:
        """Hear what comes; raises when nothing will come any more."""
        try:
            while (order := await self._stream.read()) is not aio.EOF:
                if order.number == 0:
                    self._told(order.refused)
                elif order.number == self._number and not self._answer.done():
                    self._answer.set_result(order)
        except aio.AioRpcError as error:
            raise _broken(error) from error
        raise Unavailable("the server has closed the connection")


@asynccontextmanager
async def dial(server: Server, told: Callable[[pb.Refused], None]) -> AsyncGenerator[Call]:
    secure = server.credentials
    channel = (
        aio.secure_channel(server.address, secure, options=OPTIONS)
        if secure
        else aio.insecure_channel(server.address, options=OPTIONS)
    )
    async with channel:
        stream = WorkerServiceStub(channel).Work(metadata=tuple(server.metadata))
        try:
            yield Call(stream, told)
        finally:
            stream.cancel()


def _broken(error: BaseException) -> FunnelError:
    if not isinstance(error, aio.AioRpcError):
        return Unavailable("the connection is broken")
    words = error.details() or error.code().name
    return FOR_GOOD.get(error.code(), Unavailable)(words)
