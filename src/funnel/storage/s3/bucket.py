"""Requests to one bucket, as one that comes with these credentials."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from io import BytesIO
from typing import Final

import aiohttp
from yarl import URL

from funnel.core.error import FunnelError
from funnel.core.url import redacted
from funnel.ports import Clock
from funnel.storage.s3.credentials import Credentials
from funnel.storage.s3.failure import Answer, Expired, answer_of, failure
from funnel.storage.s3.sign import NOTHING, Keys, Request, queried, quoted, signed
from funnel.storage.web import heard, retry_after

CONNECT: Final = 10.0
"""Seconds."""
SHORT: Final = 60.0
"""Seconds for an answer without content of a file."""
LONG: Final = 600.0
"""Seconds without a byte; what moves a file is watched from outside, and more closely."""
ERROR_SIZE: Final = 64 * 1024
BUFFER: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """
    How a bucket is reached: `url` of it, without a slash at the end.

    `section` of the settings says so. `reading` and `writing` are further headers; `tls` is None
    for what every program believes.
    """

    url: str
    region: str
    section: str
    credentials: Credentials
    common: Mapping[str, str]
    reading: Mapping[str, str]
    writing: Mapping[str, str]
    tls: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request, on behalf of `url`; the `deed` is as in "reading"."""

    url: str
    deed: str
    method: str
    key: str = ""
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes = b""
    brief: bool = True
    """Whether neither the request nor the answer has the content of a file."""


class Bucket:
    def __init__(self, web: aiohttp.ClientSession, now: Clock, terms: Terms) -> None:
        self._web = web
        self._now = now
        self.terms = terms

    @asynccontextmanager
    async def ask(self, call: Call) -> AsyncGenerator[aiohttp.ClientResponse]:
        """An answer that is a success. Raises as `ports.Transfer` does."""
        keys = await self.terms.credentials.current()
        url, headers = await self._request(call, keys)
        async with AsyncExitStack() as stack:
            with heard(call.url, call.deed):
                response = await stack.enter_async_context(
                    self._web.request(
                        call.method,
                        url,
                        headers=headers,
                        data=BytesIO(call.body) if call.body else None,
                        allow_redirects=False,
                        timeout=_timeout(brief=call.brief),
                        ssl=self.terms.tls or True,
                    )
                )
                if response.status >= 300:
                    error = await self._failure(call, response, anonymous=keys is None)
                    if isinstance(error, Expired):
                        self.terms.credentials.forget(keys)
                    raise error
            yield response

    async def content(self, call: Call) -> bytes:
        """What the store says to a brief call."""
        async with self.ask(call) as response:
            with heard(call.url, call.deed):
                return await response.read()

    async def text(self, call: Call) -> str:
        return (await self.content(call)).decode(errors="replace")

    async def _request(self, call: Call, keys: Keys | None) -> tuple[URL, dict[str, str]]:
        path = f"/{quoted(call.key)}" if call.key else "/"
        url = URL(f"{self.terms.url}{path}", encoded=True)
        headers = {**self.terms.common, **call.headers}
        if keys:
            request = Request(
                method=call.method,
                host=url.host_port_subcomponent or "",
                path=url.raw_path,
                query=call.query,
                headers=headers,
                body=await _sum(call.body),
            )
            headers = signed(request, keys, self.terms.region, self._now())
        if call.query:
            url = URL(f"{url}?{queried(call.query)}", encoded=True)
        return url, headers

    async def _failure(
        self, call: Call, response: aiohttp.ClientResponse, *, anonymous: bool
    ) -> FunnelError:
        body = (await response.content.read(ERROR_SIZE)).decode(errors="replace")
        answer = answer_of(response.status, body, retry_after(response.headers))
        return self.failure(call, answer, anonymous=anonymous)

    def failure(self, call: Call, answer: Answer, *, anonymous: bool = False) -> FunnelError:
        """To be raised for an answer that is no success."""
        what = f"{redacted(call.url)}: {call.deed} failed"
        return failure(what, answer, self.terms.section, anonymous=anonymous)


def _timeout(*, brief: bool) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(
        total=SHORT if brief else None, sock_connect=CONNECT, sock_read=LONG
    )


async def _sum(body: bytes) -> str:
    """Of what is large, in a thread."""
    if not body:
        return NOTHING
    if len(body) < BUFFER:
        return sha256(body).hexdigest()
    return (await asyncio.to_thread(sha256, body)).hexdigest()
