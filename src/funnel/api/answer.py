"""Answers, most of them in JSON."""

from collections.abc import Iterable
from typing import Final, Protocol

from funnel.api.errors import BROKEN, fault, retry_after, status_of
from funnel.core.error import FunnelError, Invalid

JSON: Final = "application/json"


class Reply(Protocol):
    """Where an answer goes. `headers` are lines as they are sent, each with its line end."""

    def whole(self, status: int, headers: bytes, body: bytes) -> None: ...

    def begin(self, status: int, headers: bytes) -> None:
        """The head of an answer in pieces, of which there are none for a HEAD."""
        ...

    async def piece(self, body: bytes) -> None:
        """Return when there is room for more. Raises `Gone`."""
        ...

    def end(self) -> None: ...


class Answer:
    """`kind` is the media type."""

    def __init__(self, body: bytes = b"", status: int = 200, kind: str = JSON) -> None:
        self.body = body
        self.status = status
        self.headers = b"content-type: %b\r\n" % kind.encode()

    def add(self, name: str, value: str) -> None:
        """A header; neither may come from a client."""
        self.headers += f"{name.lower()}: {value}\r\n".encode("latin-1")

    async def send(self, reply: Reply) -> None:
        reply.whole(self.status, self.headers, self.body)


def refusal(error: FunnelError) -> Answer:
    status, code = status_of(error)
    problems = error.problems if isinstance(error, Invalid) else ()
    answer = Answer(fault(str(error), code, problems), status)
    if seconds := retry_after(error):
        answer.add("Retry-After", str(seconds))
    return answer


def no_such_path(path: str) -> Answer:
    return Answer(fault(f"Not Found: nothing is at {path!r}", "NOT_FOUND"), 404)


def no_such_method(method: str, allowed: Iterable[str]) -> Answer:
    words = ", ".join(sorted(allowed))
    text = f"Method Not Allowed: {method!r}, expected one of {words}"
    answer = Answer(fault(text, "UNIMPLEMENTED"), 405)
    answer.add("Allow", words)
    return answer


def broken(request_id: str) -> Answer:
    """Says nothing of the inside; the log has the rest under the same id."""
    answer = Answer(fault(BROKEN.format(request_id), "INTERNAL"), 500)
    answer.add("X-Request-Id", request_id)
    return answer
