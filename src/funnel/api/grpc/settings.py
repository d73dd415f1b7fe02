"""What the gRPC door asks of connections."""

from typing import Final

from funnel.api.settings import Limits

PARTING: Final = 0.25
"""Seconds in which new calls are told that the server ends; then its connections close."""
STREAMS_END: Final = 1.0
"""Seconds for streams to end by themselves, once the server ends."""
DRAIN: Final = 10.0
"""Seconds for calls that have come to be answered, once the server ends."""
QUIET: Final = 60.0
"""Seconds of a connection until we ask whether there is still somebody; proxies wait longer."""
SILENCE: Final = 20.0
"""Seconds after that question, until it counts as broken."""


def options(limits: Limits) -> list[tuple[str, int]]:
    """
    What gRPC's own implementation is told.

    Without streams, too, a client may ping and is pinged, so that workers on the other side of
    a proxy keep their connection. Two servers must not share a port.
    """
    return [
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", limits.message),
        ("grpc.max_send_message_length", -1),
        ("grpc.keepalive_time_ms", _milliseconds(QUIET)),
        ("grpc.keepalive_timeout_ms", _milliseconds(SILENCE)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
        ("grpc.http2.min_ping_interval_without_data_ms", _milliseconds(limits.ping_seconds)),
    ]


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
