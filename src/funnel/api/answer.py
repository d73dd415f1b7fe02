"""Answers in JSON."""

from collections.abc import Iterable

from starlette.responses import Response

from funnel.api.errors import RETRY_AFTER, fault, status_of
from funnel.core.error import FunnelError, Invalid

JSON = "application/json"


def answer(body: bytes, status: int = 200) -> Response:
    return Response(body, status, media_type=JSON)


def refusal(error: FunnelError) -> Response:
    status, code = status_of(error)
    problems = error.problems if isinstance(error, Invalid) else ()
    return _waiting(answer(fault(str(error), code, problems), status))


def no_such_path(path: str) -> Response:
    return answer(fault(f"Not Found: nothing is at {path!r}", "NOT_FOUND"), 404)


def no_such_method(method: str, allowed: Iterable[str]) -> Response:
    words = ", ".join(sorted(allowed))
    text = f"Method Not Allowed: {method!r}, expected one of {words}"
    response = answer(fault(text, "UNIMPLEMENTED"), 405)
    response.headers["Allow"] = words
    return response


def broken(request_id: str) -> Response:
    """Says nothing of the inside; the log has the rest under the same id."""
    text = f"internal error: the server's log has more under request {request_id}"
    response = answer(fault(text, "INTERNAL"), 500)
    response.headers["X-Request-Id"] = request_id
    return response


def _waiting(response: Response) -> Response:
    if seconds := RETRY_AFTER.get(response.status_code):
        response.headers["Retry-After"] = str(seconds)
    return response
