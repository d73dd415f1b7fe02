"""Requests to Google Storage, one try each."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

import aiohttp
from yarl import URL

from funnel.core.error import Unavailable
from funnel.storage.google.credentials import SETTING, Credentials
from funnel.storage.web import heard, refusal

BLOCK: Final = 1 << 18
BRIEF: Final = aiohttp.ClientTimeout(total=60.0, sock_connect=30.0)
FINE: Final = frozenset({200, 206})
CHECK: Final = f"check what the account of {SETTING} may do"
NOBODY: Final = f"nobody is logged in: name a key in {SETTING}"
MISMATCH: Final = "match calculated"
"""What Google says of a checksum that is another one than ours."""


class Spoiled(Unavailable):
    """What has come is not what was sent, and is not kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`url` and `deed` are for errors; the `path` is encoded, or a whole URL that Google gave."""

    url: str
    deed: str
    path: str
    method: str = "GET"
    query: Mapping[str, str] = field(default_factory=dict[str, str])
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | memoryview | None = None
    fine: frozenset[int] = FINE
    brief: bool = False
    signed: bool = True
    """Whether it says who we are."""


class Door:
    """Where it is, who comes, and for whose project."""

    def __init__(
        self, session: aiohttp.ClientSession, credentials: Credentials, root: str, project: str
    ) -> None:
        self._session = session
        self._credentials = credentials
        self._root = root
        self._project = {"userProject": project} if project else {}

    @asynccontextmanager
    async def ask(self, call: Call) -> AsyncGenerator[aiohttp.ClientResponse]:
        """Raises what the answer means, where it is not fine."""
        async with AsyncExitStack() as stack:
            yield await self._answer(call, stack)

    async def content(self, call: Call) -> bytes:
        async with self.ask(call) as answer:
            with heard(call.url, call.deed):
                return await answer.read()

    async def _answer(self, call: Call, stack: AsyncExitStack) -> aiohttp.ClientResponse:
        """A token that is refused may have been taken back; then there is a new one."""
        token = await self._credentials.token() if call.signed else ""
        answer = await self._sent(call, token, stack)
        if answer.status == 401 and self._credentials.forget(token):
            answer.release()
            token = await self._credentials.token()
            answer = await self._sent(call, token, stack)
        if answer.status not in call.fine:
            check = CHECK if token or not call.signed else NOBODY
            failure = await refusal(answer, call.url, call.deed, check)
            raise Spoiled(str(failure)) if MISMATCH in str(failure) else failure
        return answer

    async def _sent(self, call: Call, token: str, stack: AsyncExitStack) -> aiohttp.ClientResponse:
        headers = dict(call.headers)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if call.body is not None:
            headers["Content-Length"] = str(len(call.body))
        with heard(call.url, call.deed):
            return await stack.enter_async_context(
                self._session.request(
                    call.method,
                    self._target(call),
                    headers=headers,
                    data=None if call.body is None else _blocks(call.body),
                    allow_redirects=False,
                    timeout=BRIEF if call.brief else self._session.timeout,
                )
            )

    def _target(self, call: Call) -> URL:
        if "://" in call.path:
            return URL(call.path, encoded=True)
        query = urlencode({**call.query, **self._project})
        return URL(f"{self._root}{call.path}?{query}", encoded=True)


async def _blocks(body: bytes | memoryview) -> AsyncIterator[memoryview]:
    view = memoryview(body)
    for at in range(0, len(view), BLOCK):
        yield view[at : at + BLOCK]
