"""An answer of HTTP/1.1 (RFC 9112), as it comes."""

from collections import deque
from collections.abc import Iterator, Mapping
from itertools import takewhile
from typing import Final, TypeAlias, TypeVar, overload

import httptools

from funnel.net.blocks import BLOCK, Blocks

T = TypeVar("T")

Piece: TypeAlias = bytes | memoryview
"""Of a body. It is the reader's: nobody writes to it any more."""

MOST: Final = 64 << 10
"""Bytes of a head, and of what comes between two pieces of a body."""
CODINGS: Final = frozenset({"", "chunked"})


class Broken(ConnectionError):
    """What the other side sends is no answer, or not all of it."""


class Headers(Mapping[str, str]):
    """By their names, in whatever case; what is there several times is joined by commas."""

    __slots__ = ("_found",)

    def __init__(self, found: Mapping[str, str]) -> None:
        self._found = found

    def __getitem__(self, name: str) -> str:
        return self._found[name.lower()]

    @overload
    def get(self, name: str, /) -> str | None: ...
    @overload
    def get(self, name: str, /, default: str | T) -> str | T: ...
    def get(self, name: str, /, default: str | T | None = None) -> str | T | None:
        return self._found.get(name.lower(), default)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._found

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)


class Incoming:
    """
    Is given what comes (`feed`, or `space` and `filled`), and holds the pieces of the body.

    A body whose size is known, or that ends with the connection, is read to where it stays;
    heads and chunks go through a parser. Raises `Broken`.
    """

    def __init__(self, blocks: Blocks, *, is_bodiless: bool) -> None:
        self.status = 0
        self.reason = ""
        self.headers = Headers({})
        self.is_begun = False
        """Whether the head is there."""
        self.is_whole = False
        self.stays = False
        """Whether the connection can be used again, once all has come."""
        self.held = 0
        """Bytes of the body that wait to be taken."""
        self._blocks = blocks
        self._is_bodiless = is_bodiless
        self._parser: httptools.HttpResponseParser | None = httptools.HttpResponseParser(self)
        self._lines = 0
        """Bytes that came since a head ended or a body went on."""
        self._got: list[tuple[bytes, bytes]] = []
        self._phrase = b""
        self._pieces: deque[Piece] = deque()
        self._coding = ""
        self._left = 0
        """Bytes that are still to come, where no parser is needed; -1 for those up to the end."""
        self._block = memoryview(b"")
        self._from = self._to = 0
        """What of the block has come, and waits."""

    # --- what comes

    @property
    def is_direct(self) -> bool:
        """Whether it is to be read to `space`."""
        return self._parser is None

    def feed(self, data: memoryview) -> None:
        if self._lines >= MOST:
            raise Broken(f"more than {MOST} bytes of headers came")
        self._lines += len(data)
        try:
            if self._parser:
                self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.stays = False
            if not self.is_whole:
                raise Broken(f"what came is no answer of HTTP: {error}") from error
        if self._coding not in CODINGS:
            # What is packed would be taken for the file itself.
            raise Broken(f"what came is packed by {self._coding[:40]!r}, which nobody asked for")
        if self.is_begun and not self.is_whole and not self._coding:
            self._parser = None

    def space(self) -> memoryview:
        if self._to == len(self._block):
            is_long = not 0 <= self._left < BLOCK
            # One byte more than there should be is noticed.
            block = self._blocks.free() if is_long else bytearray(self._left or 1)
            self._block = memoryview(block)
            self._from = self._to = 0
        return self._block[self._to :]

    def filled(self, count: int) -> bool:
        """Whether it should be handed on at once."""
        self._to += count
        self.held += count
        if self._left > 0:
            self._left -= count
            self.is_whole = not self._left
        if self._to < len(self._block) and not self.is_whole:
            return False
        self._pieces.append(self._block[self._from : self._to])
        self._block = memoryview(b"")
        self._from = self._to = 0
        return True

    def end(self) -> bool:
        """The other side has closed; whether that ends the body as it should."""
        if self.is_begun and self._parser is None and self._left < 0:
            self.is_whole = True
        return self.is_whole

    # --- who takes it

    def take(self) -> Piece:
        """What has come; nothing where nothing has."""
        piece: Piece
        if self._pieces:
            piece = self._pieces.popleft()
            if isinstance(piece, bytes):
                # Of chunks, which are small.
                more = [*takewhile(lambda one: isinstance(one, bytes), self._pieces)]
                for _ in more:
                    self._pieces.popleft()
                piece = b"".join((piece, *more))
        else:
            piece = self._block[self._from : self._to]
            self._from = self._to
        self.held -= len(piece)
        return piece

    def let_go(self) -> None:
        """Nothing more is of interest: it and its parser need not wait to be collected."""
        self._parser = None

    # --- the parser's side

    def on_message_begin(self) -> None:
        if self.is_whole:
            self.stays = False
        self._got, self._phrase = [], b""

    def on_status(self, phrase: bytes) -> None:
        self._phrase += phrase

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.is_begun:
            self._got.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if self.is_begun or parser is None:
            return
        self.status = parser.get_status_code()
        if self.status < 200:
            return
        self.headers = _headers(self._got)
        self._coding = self.headers.get("transfer-encoding", "").lower()
        if self._coding not in CODINGS:
            return
        self._lines = 0
        self.is_begun = True
        self.reason = self._phrase.decode("latin-1")
        self.stays = parser.should_keep_alive()
        self._left = int(self.headers.get("content-length", -1))
        if self._is_bodiless:
            self.is_whole = True

    def on_body(self, piece: bytes) -> None:
        self._lines = 0
        if self.is_whole:
            self.stays = False
            return
        if self._left > 0:
            self._left -= len(piece)
        self.held += len(piece)
        self._pieces.append(piece)

    def on_message_complete(self) -> None:
        self.is_whole = self.is_begun


def _headers(got: list[tuple[bytes, bytes]]) -> Headers:
    found: dict[str, str] = {}
    for raw, value in got:
        name, text = raw.decode("latin-1").lower(), value.decode("utf-8", "surrogateescape")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return Headers(found)
