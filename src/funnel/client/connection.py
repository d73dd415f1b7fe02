"""Questions to a server over HTTP, and what can go wrong with them."""

from base64 import b64encode
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import aiohttp
from msgspec import DecodeError, json

from funnel.client.address import Address
from funnel.client.answer import failure, without_nulls
from funnel.core.error import FunnelError, Unavailable


@dataclass(frozen=True, slots=True)
class Question:
    method: str
    path: str
    params: Sequence[tuple[str, str]] = ()
    body: bytes | None = None
    headers: Mapping[str, str] | None = None


class Connection:
    """Raises the errors of `core.error`; repeats nothing."""

    def __init__(self, server: Address, *, timeout: timedelta, most: int) -> None:
        self.server = server
        self._session = aiohttp.ClientSession(
            headers=_who(server) if server.user else None,
            timeout=aiohttp.ClientTimeout(total=timeout.total_seconds(), sock_connect=10),
            connector=aiohttp.TCPConnector(limit=most),
            trust_env=not server.local,
        )

    async def close(self) -> None:
        await self._session.close()

    async def ask(self, question: Question) -> tuple[Mapping[str, str], Any]:
        """The headers of the answer, and its JSON."""
        with self._explained():
            async with self._session.request(**self._request(question)) as answer:
                text = await answer.read()
        if answer.status >= 300:
            raise failure(self.server, answer.status, text)
        return answer.headers, _decoded(self.server, text)

    @asynccontextmanager
    async def hear(
        self, question: Question, *, silence: timedelta
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        """An answer without end, which must not be silent for longer than this."""
        timeout = aiohttp.ClientTimeout(sock_connect=10, sock_read=silence.total_seconds())
        with self._explained():
            request = self._session.request(**self._request(question), timeout=timeout)
            async with request as answer:
                if answer.status >= 300:
                    raise failure(self.server, answer.status, await answer.read())
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
        except aiohttp.ClientConnectorError as error:
            raise Unavailable(_unreachable(self.server)) from error
        except aiohttp.ClientError as error:
            raise Unavailable(f"{self.server.shown} broke off: {error}") from error


def _who(server: Address) -> Mapping[str, str]:
    named = f"{server.user}:{server.password.reveal()}".encode()
    return {"Authorization": "Basic " + b64encode(named).decode()}


def _decoded(server: Address, text: bytes) -> Any:
    try:
        return without_nulls(json.decode(text)) if text.strip() else {}
    except DecodeError:
        raise FunnelError(f"{server.shown} does not speak TES: its answer is not JSON") from None


def _unreachable(server: Address) -> str:
    start = ", or start one with `funnel server run`" if server.local else ""
    return (
        f"no server answers at {server.shown}: name another with --server or FUNNEL_SERVER{start}"
    )
