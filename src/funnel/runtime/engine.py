"""Asking a container engine over its HTTP API."""

from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import TypeVar
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

T = TypeVar("T")

NEWEST = (1, 47)
"""The newest version of the API that we know; engines speak all older ones they still allow."""
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


class Engine:
    """
    Requests to one engine. Raises `Refusal` with its words, `Unavailable` when it is silent.

    `seconds` is how long an answer may take where the call does not say otherwise; `version` is
    the part of each path that names the version of the API.
    """

    def __init__(self, session: ClientSession, address: Address, seconds: float) -> None:
        self.address = address
        self._session = session
        self.seconds = seconds
        self.version = ""
        self.is_podman = False

    @asynccontextmanager
    async def ask(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, str] | None = None,
        body: object = None,
        within: float | None = 0.0,
    ) -> AsyncGenerator[ClientResponse]:
        """An answer whose body is still to be read; `within` 0 is the usual time, None no limit."""
        seconds = self.seconds if within == 0.0 else within
        try:
            async with self._session.request(
                method,
                f"{self.address.base}{self.version}{path}",
                params=params,
                data=None if body is None else msgspec.json.encode(body),
                headers={"Content-Type": "application/json"},
                timeout=ClientTimeout(total=seconds),
                allow_redirects=False,
            ) as response:
                if response.status >= 300 and response.status != NOT_MODIFIED:
                    raise Refusal(_message(await response.read()), response.status)
                yield response
        except TimeoutError as error:
            words = f"has not answered {method} {path} within {seconds:g} s"
            raise Late(f"the container engine at {self.address.url} {words}") from error
        except (ClientError, OSError) as error:
            words = f"does not answer: {_why(error)}"
            raise Unavailable(f"the container engine at {self.address.url} {words}") from error

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
        """Find out whom we speak to, and in which version of the API."""
        async with self.ask("GET", "/_ping", within=min(self.seconds, PING_SECONDS)) as response:
            theirs = response.headers.get("Api-Version", "")
            self.is_podman = "Libpod-Api-Version" in response.headers
        major, _, minor = theirs.partition(".")
        if major.isdecimal() and minor.isdecimal():
            spoken = min(NEWEST, (int(major), int(minor)))
            self.version = f"/v{spoken[0]}.{spoken[1]}"


@asynccontextmanager
async def reached(candidates: Iterable[Address], seconds: float) -> AsyncGenerator[Engine]:
    """The first engine that answers. Raises `Unavailable` with all that was tried."""
    tried: list[str] = []
    for address in candidates:
        # A connection for each request: waiting ones must not use up a pool, and a restarted
        # engine leaves no dead ones behind.
        async with ClientSession(connector=_connector(address)) as session:
            engine = Engine(session, address, seconds)
            try:
                await engine.agree()
            except Unavailable as error:
                tried.append(f"{address.origin}: {error}")
                continue
            yield engine
            return
    raise Unavailable(
        "no container engine answers; start Docker or Podman, or set Docker.Host. Tried "
        + "; ".join(tried)
    )


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
