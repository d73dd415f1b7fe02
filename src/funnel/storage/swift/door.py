"""Requests to Swift, one try each."""

import ssl
from collections.abc import Mapping
from contextlib import AsyncExitStack
from typing import Final
from urllib.parse import urlencode

from funnel.core.error import FunnelError, NoSpace, Unavailable
from funnel.core.url import redacted
from funnel.net.client import Answer, Client, place_of
from funnel.ports import Piece
from funnel.storage.calls import Call, Caller, begun
from funnel.storage.swift.account import Account
from funnel.storage.swift.identity import Pass
from funnel.storage.web import refusal

KIND: Final = "application/octet-stream"
CHECK: Final = "check what this user may do with the container"
KINDS: Final[Mapping[int, type[FunnelError]]] = {413: NoSpace, 422: Unavailable, 498: Unavailable}
"""A quota, content that has not come as it was sent, and too much at once."""


class Door(Caller):
    def __init__(self, client: Client, account: Account, tls: ssl.SSLContext | None) -> None:
        self._client = client
        self._account = account
        self._tls = tls

    async def put(
        self,
        url: str,
        path: str,
        body: Piece,
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
        found = (await self.headers(call)).get("ETag", "").strip('"')
        if found != etag:
            raise Unavailable(f"{redacted(url)}: {etag} was sent, and {found!r} is stored")

    async def answer(self, call: Call, stack: AsyncExitStack) -> Answer:
        """A token that is refused may have expired or been taken back; then there is a new one."""
        found = await self._account.current(call.url)
        answer = await self._sent(call, found, stack)
        if answer.status == 401:
            self._account.forget(found)
            answer = await self._sent(call, await self._account.current(call.url), stack)
        if call.wants(answer.status):
            return answer
        error = await refusal(answer, call.url, call.deed, CHECK)
        kind = KINDS.get(answer.status)
        raise kind(str(error)) if kind else error

    async def _sent(self, call: Call, found: Pass, stack: AsyncExitStack) -> Answer:
        query = f"?{urlencode(call.query)}" if call.query else ""
        origin, target = place_of(f"{found.root}{call.path}{query}", self._tls)
        headers = {**call.headers, "X-Auth-Token": found.token.reveal()}
        asking = self._client.request(call.method, origin, target, headers, call.body)
        return await begun(call, asking, stack, "look at Swift.CAFile")
