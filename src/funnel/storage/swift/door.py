"""Requests to Swift, one try each."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from funnel.core.error import FunnelError, NoSpace, Unavailable
from funnel.core.url import redacted
from funnel.net.client import Answer, Client, place_of
from funnel.storage.swift.account import Account
from funnel.storage.swift.identity import Pass
from funnel.storage.web import heard, refusal

BRIEF: Final = 60.0
"""Seconds for an answer without content of a file."""
KIND: Final = "application/octet-stream"
FINE: Final = frozenset({200, 201, 202, 204, 206})
CHECK: Final = "check what this user may do with the container"
KINDS: Final[Mapping[int, type[FunnelError]]] = {413: NoSpace, 422: Unavailable, 498: Unavailable}
"""A quota, content that has not come as it was sent, and too much at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """`url` and `deed` are for errors; the `path` is that below the account, encoded."""

    url: str
    deed: str
    path: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None
    fine: frozenset[int] = FINE
    brief: bool = True
    """Whether neither the request nor the answer has the content of a file."""


class Door:
    def __init__(self, client: Client, account: Account, tls: ssl.SSLContext | None) -> None:
        self._client = client
        self._account = account
        self._tls = tls

    @asynccontextmanager
    async def ask(self, call: Call) -> AsyncGenerator[Answer]:
        """Raises what the answer means, where it is not fine."""
        async with AsyncExitStack() as stack:
            yield await self._answer(call, stack)

    async def content(self, call: Call) -> bytes:
        async with self.ask(call) as answer:
            with heard(call.url, call.deed):
                return await answer.read()

    async def put(
        self,
        url: str,
        path: str,
        body: bytes,
        etag: str,
        *,
        deed: str = "storing",
        overwrite: bool = True,
    ) -> None:
        """The store compares what has come with the ETag; so do we with what it says."""
        condition = {} if overwrite else {"If-None-Match": "*"}
        call = Call(
            url=url,
            deed=deed,
            path=path,
            method="PUT",
            headers={"ETag": etag, "Content-Type": KIND, **condition},
            body=body,
            brief=False,
        )
        async with self.ask(call) as answer:
            found = answer.headers.get("ETag", "").strip('"')
        if found != etag:
            raise Unavailable(f"{redacted(url)}: {etag} was sent, and {found!r} is stored")

    async def _answer(self, call: Call, stack: AsyncExitStack) -> Answer:
        """A token that is refused may have expired or been taken back; then there is a new one."""
        found = await self._account.current(call.url)
        answer = await self._sent(call, found, stack)
        if answer.status == 401:
            self._account.forget(found)
            answer = await self._sent(call, await self._account.current(call.url), stack)
        if answer.status in call.fine:
            return answer
        error = await refusal(answer, call.url, call.deed, CHECK)
        kind = KINDS.get(answer.status)
        raise kind(str(error)) if kind else error

    async def _sent(self, call: Call, found: Pass, stack: AsyncExitStack) -> Answer:
        origin, target = place_of(f"{found.root}{call.path}", self._tls)
        headers = {**call.headers, "X-Auth-Token": found.token.reveal()}
        asking = self._client.request(call.method, origin, target, headers, call.body)
        with heard(call.url, call.deed, "look at Swift.CAFile"):
            async with asyncio.timeout(BRIEF if call.brief else None):
                return await stack.enter_async_context(asking)
