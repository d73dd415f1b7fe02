"""What a server's answers mean."""

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Final, TypeAlias

from msgspec import DecodeError, ValidationError, convert, json

from funnel.client.address import Address
from funnel.client.environment import variable
from funnel.core.error import (
    Busy,
    Conflict,
    Denied,
    FunnelError,
    Invalid,
    NoSpace,
    NotFound,
    Problem,
    TooLarge,
    Unauthenticated,
    Unavailable,
)

Json: TypeAlias = "dict[str, Json] | list[Json] | str | int | float | None"

KINDS: Final[dict[int, type[FunnelError]]] = {
    400: Invalid,
    401: Unauthenticated,
    403: Denied,
    404: NotFound,
    408: Unavailable,
    409: Conflict,
    413: TooLarge,
    422: Invalid,
    429: Busy,
    502: Unavailable,
    503: Unavailable,
    504: Unavailable,
    507: NoSpace,
}

TIMES: Final = frozenset({"creation_time", "start_time", "end_time", "createdAt", "updatedAt"})


def failure(server: Address, status: int, headers: Mapping[str, str], text: bytes) -> FunnelError:
    """The error that an answer stands for."""
    body = _object(text)
    said = _said(body)
    if said is None:
        message = f"{server.base} answered {status}: is it a TES server?"
    elif status == 401:
        user, password, token = map(variable, ("user", "password", "token"))
        message = f"{said}: set {user} and {password}, or {token}"
    else:
        message = said
    error = KINDS.get(status, FunnelError)(message)
    error.status, error.retry_after = status, _retry_after(headers)
    if isinstance(code := body.get("code"), str):
        error.code = code
    if isinstance(error, Invalid):
        error.problems = _problems(body)
    return error


def without_nulls(answer: Json) -> Json:
    """TES servers in the field write null for what is absent, and "" for a time."""
    if isinstance(answer, dict):
        return {
            key: without_nulls(one)
            for key, one in answer.items()
            if one is not None and not (one == "" and key in TIMES)
        }
    if isinstance(answer, list):
        return [without_nulls(one) for one in answer]
    return answer


def _object(text: bytes) -> dict[str, Json]:
    try:
        body: Json = json.decode(text)
    except DecodeError:
        return {}
    return body if isinstance(body, dict) else {}


def _said(body: Mapping[str, Json]) -> str | None:
    """The server's own words, from the shapes that TES servers use for errors."""
    for name in ("error", "message", "detail", "msg"):
        if isinstance(said := body.get(name), str) and said:
            return said
    return None


def _problems(body: Mapping[str, Json]) -> tuple[Problem, ...]:
    try:
        return convert(body.get("problems", ()), tuple[Problem, ...])
    except ValidationError:
        return ()


def _retry_after(headers: Mapping[str, str]) -> float:
    """
    Seconds, from a number or from a date, which counts from that of the answer.

    >>> _retry_after({"Retry-After": "5"}), _retry_after({})
    (5.0, 0.0)
    >>> sent = "Wed, 21 Oct 2026 07:28:00 GMT"
    >>> _retry_after({"Retry-After": "Wed, 21 Oct 2026 07:28:30 GMT", "Date": sent})
    30.0
    """
    said = headers.get("Retry-After", "")
    if said.isdecimal():
        return float(said)
    try:
        wait = parsedate_to_datetime(said) - parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError):
        return 0.0
    return max(wait.total_seconds(), 0.0)
