"""Requests to Google Storage, one try each."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urlencode

from funnel.core.error import Unavailable
from funnel.net.client import Answer, Client, place_of
from funnel.storage.google.credentials import SETTING, Credentials
from funnel.storage.web import heard, refusal

BRIEF: Final = 60.0
"""Seconds for an answer without content of a file."""
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

    def __init__(self, client: Client, credentials: Credentials, root: str, project: str) -> None:
        self._client = client
        self._credentials = credentials
        self._root = root
        self._project = {"userProject": project} if project else {}

    @asynccontextmanager
    async def ask(self, call: Call) -> AsyncGenerator[Answer]:
        """Raises what the answer means, where it is not fine."""
        async with AsyncExitStack() as stack:
            yield await self._answer(call, stack)

    async def content(self, call: Call) -> bytes:
        async with self.ask(call) as answer:
            with heard(call.url, call.deed):
                return await answer.read()

    async def _answer(self, call: Call, stack: AsyncExitStack) -> Answer:
        """A token that is refused may have been taken back; then there is a new one."""
        token = await self._credentials.token() if call.signed else ""
        answer = await self._sent(call, token, stack)
        if answer.status == 401 and self._credentials.forget(token):
            token = await self._credentials.token()
            answer = await self._sent(call, token, stack)
        if answer.status not in call.fine:
            check = CHECK if token or not call.signed else NOBODY
            failure = await refusal(answer, call.url, call.deed, check)
            raise Spoiled(str(failure)) if MISMATCH in str(failure) else failure
        return answer

    async def _sent(self, call: Call, token: str, stack: AsyncExitStack) -> Answer:
        headers = dict(call.headers)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        origin, target = place_of(self._url(call))
        asking = self._client.request(call.method, origin, target, headers, call.body)
        with heard(call.url, call.deed):
            async with asyncio.timeout(BRIEF if call.brief else None):
                return await stack.enter_async_context(asking)

    def _url(self, call: Call) -> str:
        if "://" in call.path:
            return call.path
        return f"{self._root}{call.path}?{urlencode({**call.query, **self._project})}"
