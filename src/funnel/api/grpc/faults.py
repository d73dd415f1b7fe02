"""Our errors as gRPC has them."""

from typing import Any, Final, Never

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from grpc.aio import ServicerContext

from funnel.api.errors import retry_after, status_of
from funnel.core.error import FunnelError, Invalid, Problem
from funnel.wire.gen import fault_pb2 as pb

LONGEST: Final = 1500
"""Bytes of a text, and of problems: clients refuse trailers of more than some thousand."""
DETAILS: Final = "grpc-status-details-bin"
PUSHBACK: Final = "grpc-retry-pushback-ms"
"""When those clients come again that try again by themselves."""
BAD_REQUEST: Final = "type.googleapis.com/google.rpc.BadRequest"


async def refuse(context: ServicerContext[Any, Any], error: FunnelError) -> Never:
    """End the call with the status that the error has, and with its problems one by one."""
    code, text = code_of(error), shortened(str(error))
    trailers: list[tuple[str, str | bytes]] = []
    if isinstance(error, Invalid) and error.problems:
        trailers.append((DETAILS, _details(code, text, error.problems)))
    if seconds := retry_after(error):
        trailers.append((PUSHBACK, str(seconds * 1000)))
    await context.abort(code, text, tuple(trailers))


def code_of(error: FunnelError) -> grpc.StatusCode:
    return grpc.StatusCode[status_of(error)[1]]


def shortened(text: str) -> str:
    encoded = text.encode()
    return text if len(encoded) <= LONGEST else f"{encoded[:LONGEST].decode(errors='ignore')} …"


def _details(code: grpc.StatusCode, text: str, problems: tuple[Problem, ...]) -> bytes:
    """As many problems as there is room for."""
    found, left = pb.BadRequest(), LONGEST
    for problem in problems:
        left -= len(problem.field.encode()) + len(problem.message.encode())
        if left < 0:
            break
        found.field_violations.add(field=problem.field, description=problem.message)
    number: int = code.value[0]
    detail = AnyMessage(type_url=BAD_REQUEST, value=found.SerializeToString())
    return pb.Status(code=number, message=text, details=[detail]).SerializeToString()
