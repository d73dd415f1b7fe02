"""What is the same for every call: who makes it, how it went, what is said when it went wrong."""

import asyncio
import logging
import secrets
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import aclosing, asynccontextmanager, contextmanager
from enum import StrEnum
from inspect import isasyncgenfunction
from typing import Any, TypeAlias

import grpc
from google.protobuf.message import DecodeError
from grpc.aio import AbortError, ServerInterceptor, ServicerContext

from funnel.api.admission import Room
from funnel.api.errors import BROKEN, NoAnswer, TooSlow
from funnel.api.grpc.entrance import OPEN, OPERATIONS, STOPPING, Entrance
from funnel.api.grpc.faults import code_of, refuse
from funnel.api.settings import Limits
from funnel.core.access import Operation
from funnel.core.error import Busy, FunnelError, Invalid, Unavailable
from funnel.metrics import Metrics

log = logging.getLogger(__name__)

Context: TypeAlias = ServicerContext[Any, Any]
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"
Found: TypeAlias = "grpc.RpcMethodHandler[Any, Any] | None"
Find: TypeAlias = Callable[[grpc.HandlerCallDetails], Awaitable[Found]]
Behaviour: TypeAlias = Callable[[Any, Any], Any]
Read: TypeAlias = Callable[[bytes], Any]


class Kind(StrEnum):
    """Calls of one kind take no places of another's."""

    STRANGER = "stranger"
    WORKER = "worker"
    USER = "user"


class Guard(ServerInterceptor):
    """
    Stands before every method, whoever has written it.

    What a method raises becomes the status of its call, by the same table as over HTTP. A single
    message is read here, since gRPC itself would take it from anyone, and wait for it for ever.
    """

    def __init__(self, entrance: Entrance, metrics: Metrics, limits: Limits) -> None:
        self.entrance = entrance
        self._metrics = metrics
        self._limits = limits
        self._room = Room(limits.bodies)
        self._guarded: dict[str, Handler] = {}
        self._streams = set[asyncio.Task[Any] | None]()
        self._most = {
            Kind.STRANGER: limits.strangers,
            Kind.WORKER: limits.workers,
            Kind.USER: limits.calls,
        }
        self._here = Counter[Kind]()
        self._ended = False
        metrics.watch_workers(lambda: self._here[Kind.WORKER])

    async def intercept_service(
        self, continuation: Find, handler_call_details: grpc.HandlerCallDetails
    ) -> Found:
        """Finds nothing for a method that nobody has; gRPC then says so."""
        method = handler_call_details.method
        if guarded := self._guarded.get(method):
            return guarded
        found = await continuation(handler_call_details)
        if found:
            self._guarded[method] = found = self._guard(method, found)
        return found

    def end_streams(self) -> None:
        """Break off those that have not ended by themselves."""
        self._ended = True
        for one in filter(None, self._streams):
            one.cancel()

    def _guard(self, method: str, of: Handler) -> Handler:
        read, write = of.request_deserializer or bytes, of.response_serializer
        if of.unary_unary:
            call = self._call(method, of.unary_unary, read)
            return grpc.stream_unary_rpc_method_handler(call, None, write)
        if of.unary_stream:
            answers = self._stream(method, of.unary_stream, read)
            return grpc.stream_stream_rpc_method_handler(answers, None, write)
        if of.stream_unary:
            stream = self._stream(method, of.stream_unary)
            return grpc.stream_unary_rpc_method_handler(stream, read, write)
        stream = self._stream(method, of.stream_stream)
        return grpc.stream_stream_rpc_method_handler(stream, read, write)

    def _call(self, method: str, behaviour: Behaviour, read: Read) -> Behaviour:
        clock = asyncio.get_running_loop().time

        async def call(_given: Any, context: Context) -> Any:
            began = clock()
            try:
                async with self._answering(method, context), self._message(context) as message:
                    async with asyncio.timeout(self._limits.answer_seconds):
                        return await behaviour(read(message), context)
            finally:
                self._metrics.call_took(method, clock() - began)

        return call

    def _stream(self, method: str, behaviour: Any, read: Read | None = None) -> Behaviour:
        """Writes what a generator yields, so that it is closed when nobody reads any more."""

        async def stream(given: Any, context: Context) -> Any:
            async with self._answering(method, context), self._until_ended():
                if read:
                    async with self._message(context) as message:
                        given = read(message)
                if not isasyncgenfunction(behaviour):
                    return await behaviour(given, context)
                async with aclosing(behaviour(given, context)) as pieces:
                    async for piece in pieces:
                        await context.write(piece)
            return None

        return stream

    @asynccontextmanager
    async def _message(self, context: Context) -> AsyncGenerator[bytes]:
        """The one of a call. Raises `TooSlow`, and `Busy` where all together are too large."""
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                message = await context.read()
        except TimeoutError as error:
            raise TooSlow("the message did not arrive in time") from error
        if not isinstance(message, bytes):
            raise Invalid("there is no message")
        self._room.take(len(message))
        try:
            yield message
        finally:
            self._room.give_back(len(message))

    @asynccontextmanager
    async def _until_ended(self) -> AsyncGenerator[None]:
        """Until `end_streams`; raises `Unavailable` then."""
        task = asyncio.current_task()
        self._streams.add(task)
        try:
            yield
        except asyncio.CancelledError:
            if not self._ended:
                raise
            raise Unavailable(STOPPING) from None
        finally:
            self._streams.discard(task)

    @contextmanager
    def _place(self, method: str) -> Generator[None]:
        """Raises `Busy` where others of its kind have all places."""
        kind = _kind(method)
        if self._here[kind] >= self._most[kind]:
            raise Busy(f"there are {self._most[kind]} calls of {kind}s already; try again later")
        self._here[kind] += 1
        try:
            yield
        finally:
            self._here[kind] -= 1

    @asynccontextmanager
    async def _answering(self, method: str, context: Context) -> AsyncGenerator[None]:
        """Lets in who may, says what went wrong, and counts the call in any case."""
        code = grpc.StatusCode.CANCELLED
        try:
            await self.entrance.let_in(method, context)
            with self._place(method):
                yield
            code = grpc.StatusCode.OK
        except AbortError:
            code = context.code()
            raise
        except (FunnelError, DecodeError, TimeoutError) as error:
            fault = _fault(method, error)
            code = code_of(fault)
            await refuse(context, fault)
        except NotImplementedError:
            code = grpc.StatusCode.UNIMPLEMENTED
            await context.abort(code, f"{method} is not served here")
        except Exception:
            request_id = secrets.token_hex(8)
            log.exception("call %s, %s", request_id, method)
            code = grpc.StatusCode.INTERNAL
            await context.abort(code, BROKEN.format(request_id))
        finally:
            self._metrics.called(method, code.name)


def _kind(method: str) -> Kind:
    if method in OPEN:
        return Kind.STRANGER
    return Kind.WORKER if OPERATIONS.get(method) is Operation.WORK else Kind.USER


def _fault(method: str, error: Exception) -> FunnelError:
    if isinstance(error, FunnelError):
        return error
    if isinstance(error, DecodeError):
        return Invalid(f"not a message for {method}: {error}")
    return NoAnswer()
