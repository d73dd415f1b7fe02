"""A client of HTTP/1.1 for what moves many bytes, or asks many times."""

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache
from importlib import import_module
from typing import Any, Final, NamedTuple, Self
from urllib.parse import urlsplit

from funnel.net.blocks import Blocks
from funnel.net.connection import Body, Connection, Request
from funnel.net.guard import Found, Guard
from funnel.net.incoming import Headers, Incoming, Piece

KEEP: Final = 15.0
"""Seconds that a connection is kept which nobody uses; servers close theirs, too."""
STAGGER: Final = 0.25
"""Seconds until the next address of a host is tried beside those before."""
AGAIN: Final = frozenset({"GET", "HEAD", "PUT", "DELETE", "OPTIONS"})
"""What may reach a server twice."""
CONDITION: Final = "if-none-match"
"""Under this one, what has reached a server is in the way of itself."""
PORTS: Final = {"http": 80, "https": 443}
BODILESS: Final = frozenset({"GET", "HEAD", "DELETE", "OPTIONS"})
USUAL: Final = {
    "accept": "Accept: */*",
    "accept-encoding": "Accept-Encoding: identity",
    "user-agent": "User-Agent: funnel",
}
"""Lines of a head, by their names."""
CHUNKED: Final = "Transfer-Encoding: chunked"
OURS: Final = frozenset({"host", "connection", "transfer-encoding"})
NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
TARGET: Final = re.compile(r"/[!-~]*")


# A part of aiohttp, which tries the addresses of a host as it does; its types are incomplete.
start_connection: Final[Any] = import_module("aiohappyeyeballs").start_connection


class Origin(NamedTuple):
    """`host` without brackets; `tls` says whom to believe: None is whom every program believes."""

    scheme: str
    host: str
    port: int
    tls: ssl.SSLContext | None = None

    @property
    def name(self) -> str:
        """
        In the header `Host`.

        >>> Origin("http", "::1", 80).name, Origin("https", "a.org.", 8443).name
        ('[::1]', 'a.org:8443')
        """
        host = f"[{self.host}]" if ":" in self.host else self.host.rstrip(".")
        return host if self.port == PORTS.get(self.scheme) else f"{host}:{self.port}"


def place_of(url: str, tls: ssl.SSLContext | None = None) -> tuple[Origin, str]:
    """
    Where a URL that is known to be one leads, and what is asked for there.

    >>> place_of("https://a.org/b?c")
    (Origin(scheme='https', host='a.org', port=443, tls=None), '/b?c')
    """
    parts = urlsplit(url)
    origin = Origin(parts.scheme, parts.hostname or "", parts.port or PORTS[parts.scheme], tls)
    return origin, f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"


class NoAddress(OSError):
    """A name that has none."""


class Unsayable(ValueError):
    """What cannot be sent as HTTP has it."""


class Content:
    """The body of an answer, as it comes. Raises `OSError`."""

    def __init__(self, connection: Connection, incoming: Incoming) -> None:
        self._connection = connection
        self._incoming = incoming

    async def iter_any(self) -> AsyncIterator[Piece]:
        """In pieces as they come; each is the reader's."""
        while piece := await self._connection.piece(self._incoming):
            yield piece

    async def read(self, most: int = -1) -> bytes:
        """All of it, or so many bytes at most."""
        found = list[Piece]()
        left = most
        while left and (piece := await self._connection.piece(self._incoming)):
            found.append(piece if most < 0 else piece[:left])
            left -= len(found[-1]) if most > 0 else 0
        return b"".join(found)


class Answer:
    """To a request of `target`: its head, and the `content` that comes."""

    def __init__(self, target: str, connection: Connection, incoming: Incoming) -> None:
        self.target = target
        self.status = incoming.status
        self.reason = incoming.reason
        self.headers: Headers = incoming.headers
        self.content = Content(connection, incoming)

    async def read(self) -> bytes:
        return await self.content.read()

    async def text(self) -> str:
        return (await self.read()).decode(errors="replace")


class Client:
    """
    Keeps connections, and uses them again; seconds for a connection, and for silence on one.

    With a `guard` they lead where it lets them; without, hosts must be those of the settings.
    Content comes as it was sent; redirects are answers. No cookies, no proxy of the environment.
    """

    def __init__(
        self, guard: Guard | None = None, *, connect: float = 30.0, silence: float = 60.0
    ) -> None:
        self._guard = guard
        self._connect = connect
        self._silence = silence
        self._blocks = Blocks()
        self._kept: dict[Origin, list[Connection]] = {}
        self._tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        for origin, connections in [*self._kept.items()]:
            for one in [*connections]:
                self._forget(origin, one)

    @asynccontextmanager
    async def request(
        self,
        method: str,
        origin: Origin,
        target: str,
        headers: Mapping[str, str],
        body: Body = None,
    ) -> AsyncGenerator[Answer]:
        """
        What is answered at a path with its query, whatever its status.

        Raises `OSError`: `NoAddress`, `ssl.SSLError`, `TimeoutError` and what else connections do;
        `Unsayable` for a header that would be two; what the guard does.
        """
        request = _request(method, origin, target, headers, body)
        connection, incoming = await self._asked(origin, request)
        try:
            yield Answer(target, connection, incoming)
        finally:
            if connection.finish():
                self._keep(origin, connection)

    async def _asked(self, origin: Origin, request: Request) -> tuple[Connection, Incoming]:
        """A server may close a connection that is kept just when it is used again."""
        if kept := self._taken(origin):
            try:
                return kept, await _exchanged(kept, request)
            except ConnectionError:
                if kept.is_heard or not request.is_repeatable:
                    raise
        connection = await self._connected(origin)
        return connection, await _exchanged(connection, request)

    def _taken(self, origin: Origin) -> Connection | None:
        while connections := self._kept.get(origin):
            one = connections[-1]
            self._let_go(origin, one)
            if one.is_open:
                return one
        return None

    def _keep(self, origin: Origin, one: Connection) -> None:
        one.idle = asyncio.get_running_loop().call_later(KEEP, self._forget, origin, one)
        self._kept.setdefault(origin, []).append(one)

    def _let_go(self, origin: Origin, one: Connection) -> None:
        if one.idle:
            one.idle.cancel()
        connections = self._kept[origin]
        connections.remove(one)
        if not connections:
            del self._kept[origin]

    def _forget(self, origin: Origin, one: Connection) -> None:
        self._let_go(origin, one)
        one.abort()

    async def _connected(self, origin: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        secure = origin.scheme == "https"
        async with asyncio.timeout(self._connect):
            tls = (origin.tls or await self._believing()) if secure else None
            line = await self._line(origin)
            try:
                _, connection = await loop.create_connection(
                    lambda: Connection(self._silence, self._blocks),
                    sock=line,
                    ssl=tls,
                    server_hostname=origin.host.rstrip(".") if secure else None,
                    ssl_handshake_timeout=self._connect if secure else None,
                )
            except BaseException:
                line.close()
                raise
        return connection

    async def _line(self, origin: Origin) -> socket.socket:
        """To the first address that answers; where there is a guard, all of them were judged."""
        guard = self._guard
        try:
            asking = guard.addresses if guard else _addresses
            found = await asking(origin.host, origin.port)
        except (socket.gaierror, UnicodeError) as error:
            number = error.errno if isinstance(error, OSError) else socket.EAI_NONAME
            raise NoAddress(number, f"no address is known of {origin.host}: {error}") from error
        line: socket.socket = await start_connection(
            found,
            happy_eyeballs_delay=STAGGER,
            interleave=1,
            socket_factory=guard.socket_for if guard else None,
        )
        return line

    async def _believing(self) -> ssl.SSLContext:
        """What every program does; it takes long to read, so once."""
        if self._tls is None:
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        return self._tls


async def _addresses(host: str, port: int) -> list[Found]:
    loop = asyncio.get_running_loop()
    return [*await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


async def _exchanged(connection: Connection, request: Request) -> Incoming:
    try:
        return await connection.exchange(request)
    except BaseException:
        connection.abort()
        raise


def _request(
    method: str, origin: Origin, target: str, headers: Mapping[str, str], body: Body
) -> Request:
    """
    As it is sent; what is in `headers` comes before what is usual.

    >>> _request("GET", Origin("http", "a", 80), "/b", {"Accept": "c"}, None).head.splitlines()[:3]
    [b'GET /b HTTP/1.1', b'Host: a', b'Accept: c']
    """
    said = {_known(name): name for name in headers}
    lines = [f"{method} {target} HTTP/1.1", f"Host: {origin.name}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    lines += [line for name, line in USUAL.items() if name not in said]
    framing = "" if "content-length" in said else _framing(method, body)
    lines += [framing] if framing else []
    is_chunked = framing == CHUNKED
    if isinstance(body, AsyncIterator) and not is_chunked:
        body = _counted(body, int(headers[said["content-length"]]))
    head = "\r\n".join((*lines, "", ""))
    ends = len(lines) + 1
    if head.count("\r") != ends or head.count("\n") != ends or "\0" in head:
        raise Unsayable("a URL or a header has the end of a line in it")
    if not TARGET.fullmatch(target) or "" in said:
        raise Unsayable("a URL or the name of a header has characters that it must not have")
    if not said.keys().isdisjoint(OURS):
        raise Unsayable(f"{' and '.join(OURS & said.keys())} is not for others to say")
    return Request(
        head=head.encode(errors="surrogateescape"),
        body=body,
        is_chunked=is_chunked,
        is_bodiless=method == "HEAD",
        is_repeatable=method in AGAIN
        and CONDITION not in said
        and not isinstance(body, AsyncIterator),
    )


def _framing(method: str, body: Body) -> str:
    """The line that says how long a body is, where nobody has said so."""
    if isinstance(body, (bytes, memoryview)):
        return f"Content-Length: {len(body)}"
    if body is not None:
        return CHUNKED
    return "" if method in BODILESS else "Content-Length: 0"


@lru_cache(256)
def _known(name: str) -> str:
    """The name of a header as it is compared; empty where it can be none."""
    return name.lower() if NAME.fullmatch(name) else ""


async def _counted(
    body: AsyncIterator[bytes | memoryview], size: int
) -> AsyncIterator[bytes | memoryview]:
    """Not more and not less than was said: the rest would be taken for a request."""
    async for piece in body:
        size -= len(piece)
        if size < 0:
            break
        yield piece
    if size:
        raise Unsayable("a body has another size than was said")
