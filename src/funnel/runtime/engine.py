"""Asking a container engine over its HTTP API."""

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Final, TypeVar
from urllib.parse import quote

import msgspec
from aiohttp import (
    BaseConnector,
    ClientConnectorError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    TCPConnector,
    UnixConnector,
)

from funnel.core.error import Unavailable
from funnel.core.value import Value
from funnel.runtime.address import Address, tls
from funnel.runtime.shared import Shared

T = TypeVar("T")

NONE: Final[Mapping[str, str]] = {}

NEWEST = (1, 47)
"""The newest version of the API that we know; engines speak all older ones they still allow."""
LOSING = (1, 41)
"""The newest version of which that is known: Docker 20.10."""
PING_SECONDS = 5.0
NOT_MODIFIED = 304


class Refusal(Unavailable):
    """The engine answered, and said no; `status` is that of HTTP."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Late(Unavailable):
    """The engine has not answered in time."""


class _Words(Value):
    message: str = ""


class Silent(Unavailable):
    """The engine does not answer at all."""


class Line:
    """Requests to one address, each on a connection of its own."""

    def __init__(self, address: Address) -> None:
        self.address = address
        # Waiting requests must not use up a pool, and a restarted engine leaves no dead ones.
        self._session = ClientSession(connector=_connector(address))

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] = NONE,
        within: float | None,
    ) -> AsyncGenerator[ClientResponse]:
        try:
            async with self._session.request(
                method,
                f"{self.address.base}{path}",
                params=params,
                data=None if body is None else msgspec.json.encode(body),
                headers={"Content-Type": "application/json", **headers},
                timeout=ClientTimeout(total=within),
                allow_redirects=False,
            ) as response:
                if response.status >= 300 and response.status != NOT_MODIFIED:
                    raise Refusal(_message(await response.read()), response.status)
                yield response
        except TimeoutError as error:
            words = f"has not answered {method} {path} within {within:g} s"
            raise Late(f"the container engine at {self.address.url} {words}") from error
        except (ClientError, OSError) as error:
            words = f"does not answer: {_why(error)}"
            raise Silent(f"the container engine at {self.address.url} {words}") from error

    async def close(self) -> None:
        await self._session.close()


class Engine:
    """
    Requests to one engine: the first that answers, and from then on no other.

    Raises `Refusal` with its words, `Silent` or `Late` when it does not answer. Whom we speak
    to is found out with the first request, and again after each silence. `seconds` is how long
    an answer may take where the call does not say otherwise; `version` is the part of each path
    that names the version of the API. One that `loses_ends` keeps long lines without their ends.
    """

    def __init__(self, lines: Sequence[Line], seconds: float) -> None:
        self._lines = lines
        self._finding = Shared[str, None]()
        self._agreed = False
        self.seconds = seconds
        self.version = ""
        self.is_podman = False
        self.loses_ends = False

    @property
    def address(self) -> Address:
        return self._lines[0].address

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        headers: Mapping[str, str] = NONE,
        within: float | None = 0.0,
    ) -> AsyncGenerator[ClientResponse]:
        """An answer whose body is still to be read; `within` 0 is the usual time, None no limit."""
        await self.agree()
        seconds = self.seconds if within == 0.0 else within
        path = f"{self.version}{path}"
        try:
            async with self._lines[0].ask(
                method, path, params=params, body=body, headers=headers, within=seconds
            ) as response:
                yield response
        except Silent:
            self._agreed = False
            raise

    async def do(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        within: float | None = 0.0,
    ) -> bytes:
        """The whole body of an answer."""
        async with self.ask(method, path, params=params, body=body, within=within) as response:
            return await response.read()

    async def get(self, path: str, kind: type[T], *, params: Mapping[str, str] | None = None) -> T:
        return msgspec.json.decode(await self.do("GET", path, params=params), type=kind)

    async def agree(self) -> None:
        """Find out whom we speak to, and in which version of the API. Raises with all we tried."""
        if not self._agreed:
            await self._finding.run("", self._find)

    async def ping(self) -> None:
        """Raise where the engine does not answer now."""
        await self.agree()
        async with self.ask("GET", "/_ping", within=self._soon):
            return

    async def _find(self) -> None:
        tried: list[str] = []
        for line in self._lines:
            try:
                async with line.ask("GET", "/_ping", within=self._soon) as response:
                    self._speak(response.headers)
            except Unavailable as error:
                tried.append(f"{line.address.origin}: {error}")
            else:
                # Containers of ours are in this one, and not in another that may come up.
                self._lines, self._agreed = [line], True
                return
        raise Silent(
            "no container engine answers; start Docker or Podman, or set Docker.Host. Tried "
            + "; ".join(tried)
        )

    def _speak(self, said: Mapping[str, str]) -> None:
        self.is_podman = "Libpod-Api-Version" in said
        major, _, minor = said.get("Api-Version", "").partition(".")
        if major.isdecimal() and minor.isdecimal():
            spoken = min(NEWEST, (int(major), int(minor)))
            self.version = f"/v{spoken[0]}.{spoken[1]}"
            self.loses_ends = spoken <= LOSING

    @property
    def _soon(self) -> float:
        return min(self.seconds, PING_SECONDS)


@asynccontextmanager
async def engine_at(addresses: Iterable[Address], seconds: float) -> AsyncGenerator[Engine]:
    """The engine at one of these, which need not answer yet; there is one address at least."""
    async with AsyncExitStack() as stack:
        lines: list[Line] = []
        for address in addresses:
            lines.append(Line(address))
            stack.push_async_callback(lines[-1].close)
        yield Engine(lines, seconds)


def segment(text: str) -> str:
    """Text as one part of a request path, whatever it holds."""
    return quote(text, safe="")


def _connector(address: Address) -> BaseConnector:
    if address.socket:
        return UnixConnector(address.socket, limit=0, force_close=True)
    context = tls(address.certificates) if address.certificates else True
    return TCPConnector(limit=0, force_close=True, ssl=context)


def _why(error: ClientError | OSError) -> str:
    cause = error.os_error if isinstance(error, ClientConnectorError) else error
    return (cause.strerror if isinstance(cause, OSError) else "") or str(cause)


def _message(body: bytes) -> str:
    try:
        return msgspec.json.decode(body, type=_Words).message or "no reason given"
    except msgspec.MsgspecError:
        return body.decode(errors="replace").strip()[:1000] or "no reason given"
