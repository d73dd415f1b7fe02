"""What a server's answers mean."""

from typing import Final, TypeAlias

from msgspec import DecodeError, json

from funnel.client.address import Address
from funnel.core.error import (
    Busy,
    Conflict,
    Denied,
    FunnelError,
    Invalid,
    NotFound,
    TooLarge,
    Unavailable,
)

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | None"

KINDS: Final[dict[int, type[FunnelError]]] = {
    400: Invalid,
    401: Denied,
    403: Denied,
    404: NotFound,
    409: Conflict,
    413: TooLarge,
    422: Invalid,
    429: Busy,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
}


def failure(server: Address, status: int, text: bytes) -> FunnelError:
    """The error that a status and a body stand for."""
    said = _said(text)
    if said is None:
        message = f"{server.base} answered {status}: is it a TES server?"
    elif status == 401:
        message = f"{said}: set FUNNEL_SERVER_USER and FUNNEL_SERVER_PASSWORD"
    else:
        message = said
    return KINDS.get(status, FunnelError)(message)


def without_nulls(answer: Json) -> Json:
    """TES servers in the field write null for what is absent."""
    if isinstance(answer, dict):
        return {key: without_nulls(one) for key, one in answer.items() if one is not None}
    if isinstance(answer, list):
        return [without_nulls(one) for one in answer]
    return answer


def _said(text: bytes) -> str | None:
    """The server's own words, from the shapes that TES servers use for errors."""
    try:
        body: Json = json.decode(text)
    except DecodeError:
        return None
    if not isinstance(body, dict):
        return None
    for name in ("error", "message", "detail", "msg"):
        if isinstance(said := body.get(name), str) and said:
            return said
    return None
