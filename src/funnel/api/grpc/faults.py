"""Our errors as gRPC has them."""

from typing import Any, Never

import grpc
from grpc.aio import ServicerContext

from funnel.api.errors import status_of
from funnel.core.error import FunnelError

LONGEST = 2000
"""Characters of a text: a client refuses trailers of more than some thousand bytes."""


async def refuse(context: ServicerContext[Any, Any], error: FunnelError) -> Never:
    """End the call with the status that the error has."""
    text = str(error)
    if len(text) > LONGEST:
        text = f"{text[:LONGEST]} …"
    await context.abort(code_of(error), text)


def code_of(error: FunnelError) -> grpc.StatusCode:
    return grpc.StatusCode[status_of(error)[1]]
