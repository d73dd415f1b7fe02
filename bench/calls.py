"""
The same closed loop as `load.py` over gRPC: so many connections, each with one call at a time.

Of HTTP/2 it speaks what is needed to cost far less than the server that it measures: requests are
frames that were made beforehand but for the number of their stream, and of an answer it reads the
heads of frames, and whether there was a message in it. `requests` are the path of a method, a
space, and its message in Base64.
"""

import asyncio
import base64
import json
import sys
from typing import Final

import uvloop

from bench.load import Caller, Load, measure

PREFACE: Final = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
LARGEST: Final = 2**31 - 1
INITIAL_WINDOW_SIZE: Final = 4
DEFAULT_WINDOW: Final = 65_535


def frame(kind: int, flags: int, stream: int, body: bytes) -> bytes:
    return len(body).to_bytes(3) + bytes([kind, flags]) + stream.to_bytes(4) + body


def headers(path: str) -> bytes:
    """In HPACK, without its table: names by their numbers, where they have one, and values."""
    post, http = b"\x83", b"\x86"
    named = ((b"\x04", path), (b"\x01", "x"), (b"\x0f\x10", "application/grpc"))
    fields = b"".join(name + bytes([len(value)]) + value.encode() for name, value in named)
    return post + http + fields + b"\x00\x02te\x08trailers"


def framed(request: str) -> bytes:
    """What `CallClient` sends of it: the length of its headers, these, and its message."""
    path, message = request.split()
    head, body = headers(path), base64.b64decode(message)
    return len(head).to_bytes(2) + head + b"\0" + len(body).to_bytes(4) + body


class CallClient(Caller):
    """One connection, whose windows are as wide as there are."""

    def __init__(self, load: Load) -> None:
        super().__init__(load)
        self._stream = -1
        self._came = b""
        self._has_message = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        wide = INITIAL_WINDOW_SIZE.to_bytes(2) + LARGEST.to_bytes(4)
        more = (LARGEST - DEFAULT_WINDOW).to_bytes(4)
        self.transport.write(
            PREFACE + frame(SETTINGS, 0, 0, wide) + frame(WINDOW_UPDATE, 0, 0, more)
        )
        self.ask()

    def send(self, request: bytes) -> None:
        self._stream += 2
        self._has_message = False
        size = 2 + int.from_bytes(request[:2])
        head = frame(HEADERS, END_HEADERS, self._stream, request[2:size])
        self.transport.write(head + frame(DATA, END_STREAM, self._stream, request[size:]))

    def data_received(self, data: bytes) -> None:
        came, at = self._came + data, 0
        while len(came) - at >= 9:
            end = at + 9 + int.from_bytes(came[at : at + 3])
            if end > len(came):
                break
            self._frame(came[at + 3], came[at + 4], came[at + 9 : end])
            at = end
        self._came = came[at:]

    def _frame(self, kind: int, flags: int, body: bytes) -> None:
        if kind in {SETTINGS, PING} and not flags & ACK:
            self.transport.write(frame(kind, ACK, 0, body if kind == PING else b""))
        elif kind == GOAWAY:
            raise ConnectionError(f"the server says {body[8:]!r}")
        elif kind == DATA:
            self._has_message = self._has_message or bool(body)
        if kind in {DATA, HEADERS} and flags & END_STREAM:
            self.load.bad += not self._has_message
            self.answered()


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    asked["requests"] = [framed(one) for one in asked["requests"]]
    print(json.dumps(uvloop.run(measure(CallClient, **asked))))
