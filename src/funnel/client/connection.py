"""Questions to a server over HTTP, and what can go wrong with them."""

import ssl
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import aiohttp
from msgspec import DecodeError, json

from funnel.client.address import Address
from funnel.client.answer import failure, without_nulls
from funnel.client.credentials import authorization
from funnel.client.environment import variable
from funnel.core.error import FunnelError, Invalid, Unavailable

CONNECT_SECONDS: Final = 10


@dataclass(frozen=True, slots=True)
class Question:
    method: str
    path: str
    params: Sequence[tuple[str, str]] = ()
    body: bytes | None = None
    headers: Mapping[str, str] | None = None


class Connection:
    """Raises the errors of `core.error`; repeats nothing. `timeout` is in seconds."""

    def __init__(self, server: Address, *, timeout: float, most: int) -> None:
        self.server = server
        self._timeout = aiohttp.ClientTimeout(total=timeout, sock_connect=CONNECT_SECONDS)
        self._most = most
        self._who = authorization(server)
        self._trust = _trust(server)

    @cached_property
    def _session(self) -> aiohttp.ClientSession:
        """Of the event loop that asks first."""
        return aiohttp.ClientSession(
            headers={"Authorization": self._who} if self._who else None,
            timeout=self._timeout,
            connector=aiohttp.TCPConnector(limit=self._most, ssl=self._trust),
            trust_env=not self.server.local,
        )

    async def close(self) -> None:
        """For good, and at once where nothing was asked yet."""
        await self._session.close()

    async def ask(self, question: Question) -> tuple[Mapping[str, str], Any]:
        """The headers of the answer, and its JSON."""
        with self._explained():
            async with self._session.request(**self._request(question)) as answer:
                text = await answer.read()
        if answer.status >= 300:
            raise failure(self.server, answer.status, answer.headers, text)
        return answer.headers, _decoded(self.server, text)

    @asynccontextmanager
    async def hear(
        self, question: Question, *, silence: float
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """An answer without end, which must not be silent for more seconds than this."""
        timeout = aiohttp.ClientTimeout(sock_connect=CONNECT_SECONDS, sock_read=silence)
        with self._explained():
            request = self._session.request(**self._request(question), timeout=timeout)
            async with request as answer:
                if answer.status >= 300:
                    text = await answer.read()
                    raise failure(self.server, answer.status, answer.headers, text)
                yield answer

    def _request(self, question: Question) -> dict[str, Any]:
        return {
            "method": question.method,
            "url": self.server.base + question.path,
            "params": question.params,
            "data": question.body,
            "headers": question.headers,
        }

    @contextmanager
    def _explained(self) -> Generator[None]:
        try:
            yield
        except TimeoutError as error:
            raise Unavailable(f"{self.server.shown} does not answer, try again later") from error
        except aiohttp.ClientSSLError as error:
            raise FunnelError(_untrusted(self.server, error)) from error
        except aiohttp.ClientConnectorError as error:
            raise Unavailable(_unreachable(self.server)) from error
        except aiohttp.ClientError as error:
            raise Unavailable(f"{self.server.shown} broke off: {error}") from error


def _trust(server: Address) -> ssl.SSLContext | bool:
    if not (server.ca_file and server.private):
        return True
    try:
        return ssl.create_default_context(cafile=server.ca_file)
    except (OSError, ssl.SSLError) as error:
        words = error.strerror or "not PEM"
        raise Invalid(f"cannot read the authorities in {server.ca_file}: {words}") from error


def _decoded(server: Address, text: bytes) -> Any:
    try:
        return without_nulls(json.decode(text)) if text.strip() else {}
    except DecodeError:
        raise FunnelError(f"{server.shown} does not speak TES: its answer is not JSON") from None


def _untrusted(server: Address, error: aiohttp.ClientSSLError) -> str:
    return (
        f"cannot talk to {server.shown} in private: {error.args[-1]};"
        f" name the authority that it has its certificate from in {variable('ca_file')}"
    )


def _unreachable(server: Address) -> str:
    start = ", or start one with `funnel server run`" if server.local else ""
    return (
        f"no server answers at {server.shown}: name another with --server or FUNNEL_SERVER{start}"
    )
