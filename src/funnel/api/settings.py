"""How much the doors take."""

from typing import Final

from funnel.core.value import Value


class Limits(Value, kw_only=True):
    """`body` in bytes. `no_store` tells browsers and proxies not to keep answers."""

    message: int = 4 * 1024 * 1024
    """Bytes of one gRPC message that comes."""
    calls: int = 1000
    """gRPC calls of users at once, streams included; who comes then is told to come again."""
    workers: int = 10_000
    """Workers that are away and connected; they take no places of users."""
    strangers: int = 100
    """gRPC calls at once of who need not say who they are, so that they take nobody's place."""
    ping_seconds: float = 10.0
    """At least between two pings of a gRPC client; the reference's pings every 20 seconds."""
    body: int = 4 * 1024 * 1024
    body_seconds: float = 30.0
    """For the body to arrive."""
    answer_seconds: float = 60.0
    """For the answer to be found, the body's arrival included."""
    bodies: int = 64 * 1024 * 1024
    """Bytes that all bodies may hold together, of those that have arrived."""
    creates: int = 256
    """How many creates are worked on at once."""
    lists: int = 32
    """How many pages of tasks are worked on at once."""
    turn_seconds: float = 1.0
    """For the turn of a request to come; then its caller is asked to try again later."""
    no_store: bool = True
    open_metrics: bool = False
    """Metrics are for everybody."""


LIMITS: Final = Limits()


class Connections(Value, kw_only=True):
    """How many there may be, and how slow."""

    most: int = 1000
    head: int = 64 * 1024
    """Bytes of a request before its body: its URL, and the names and values of its headers."""
    header_seconds: float = 10.0
    """For the headers of a request to arrive."""
    idle_seconds: float = 60.0
    """Between an answer and the next request."""
    write_seconds: float = 60.0
    """For a reader who does not read."""
