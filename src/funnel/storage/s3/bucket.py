"""Requests to one bucket, as one that comes with these credentials."""

import asyncio
import ssl
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from hashlib import sha256
from typing import Final

from funnel.core.error import FunnelError
from funnel.core.url import redacted
from funnel.core.value import Value
from funnel.net.client import Answer, Client, place_of
from funnel.ports import Clock
from funnel.storage.calls import BRIEF, Call, Caller, begun
from funnel.storage.s3.credentials import Credentials
from funnel.storage.s3.failure import Expired, Refusal, answer_of, failure
from funnel.storage.s3.sign import NOTHING, Keys, Request, queried, signed
from funnel.storage.web import heard, retry_after

CONNECT: Final = 10.0
"""Seconds."""
LONG: Final = 600.0
"""Seconds without a byte; what moves a file is watched from outside, and more closely."""
ERROR_SIZE: Final = 64 * 1024
BUFFER: Final = 1 << 20


class Terms(Value, kw_only=True):
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


class Bucket(Caller):
    def __init__(self, client: Client, now: Clock, terms: Terms) -> None:
        self._client = client
        self._now = now
        self._origin, base = place_of(terms.url, terms.tls)
        self._base = base.rstrip("/")
        self.terms = terms

    async def answer(self, call: Call, stack: AsyncExitStack) -> Answer:
        keys = await self.terms.credentials.current()
        answer = await begun(call, await self._request(call, keys), stack)
        if call.wants(answer.status):
            return answer
        error = await self._failure(call, answer, anonymous=keys is None)
        if isinstance(error, Expired):
            self.terms.credentials.forget(keys)
        raise error

    async def text(self, call: Call) -> str:
        return (await self.content(call)).decode(errors="replace")

    async def _request(self, call: Call, keys: Keys | None) -> AbstractAsyncContextManager[Answer]:
        path = f"{self._base}{call.path or '/'}"
        headers = {**self.terms.common, **call.headers}
        if keys:
            request = Request(
                method=call.method,
                host=self._origin.name,
                path=path,
                query=call.query,
                headers=headers,
                body=await _sum(call.body),
            )
            headers = signed(request, keys, self.terms.region, self._now())
        target = f"{path}?{queried(call.query)}" if call.query else path
        return self._client.request(call.method, self._origin, target, headers, call.body)

    async def _failure(self, call: Call, answer: Answer, *, anonymous: bool) -> FunnelError:
        with heard(call.url, call.deed):
            async with asyncio.timeout(BRIEF):
                body = await answer.content.read(ERROR_SIZE)
        text = body.decode(errors="replace")
        refusal = answer_of(answer.status, text, retry_after(answer.headers))
        return self.failure(call, refusal, anonymous=anonymous)

    def failure(self, call: Call, refusal: Refusal, *, anonymous: bool = False) -> FunnelError:
        """To be raised for an answer that is no success."""
        what = f"{redacted(call.url)}: {call.deed} failed"
        return failure(what, refusal, self.terms.section, anonymous=anonymous)


async def _sum(body: bytes | memoryview | None) -> str:
    """Of what is large, in a thread."""
    if not body:
        return NOTHING
    if len(body) < BUFFER:
        return sha256(body).hexdigest()
    return (await asyncio.to_thread(sha256, body)).hexdigest()
