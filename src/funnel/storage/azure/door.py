"""Requests to one storage account, one try each."""

import asyncio
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, contextmanager
from typing import Final
from urllib.parse import quote

from funnel.core.error import FunnelError
from funnel.core.url import redacted
from funnel.net.client import Answer, Client, place_of
from funnel.ports import Clock
from funnel.storage.azure.failure import Refusal, failure, refusal_of
from funnel.storage.azure.identity import Identity, Shown
from funnel.storage.azure.sign import Request, authorization, stamped
from funnel.storage.calls import BRIEF, Call, Caller, begun
from funnel.storage.web import heard

CONNECT: Final = 30.0
LONG: Final = 600.0
"""Seconds without a byte; what moves a file is watched from outside, and more closely."""
KIND: Final = "application/octet-stream"


class Door(Caller):
    """Of the account at `root`, as one who comes there."""

    def __init__(
        self,
        client: Client,
        account: str,
        root: str,
        identity: Identity,
        now: Clock,
    ) -> None:
        self._client = client
        self._account = account
        self._origin, base = place_of(root)
        self._base = base.rstrip("/")
        self._identity = identity
        self._now = now

    async def answer(self, call: Call, stack: AsyncExitStack) -> Answer:
        """What is refused may be so by its age; then there may be something newer, once."""
        with _about(call):
            shown = await self._identity.shown()
        answer, refusal = await self._sent(call, shown, stack)
        if refusal and refusal.is_renewable:
            with _about(call):
                newer = await self._identity.another(shown)
            if newer:
                shown = newer
                answer, refusal = await self._sent(call, shown, stack)
        if refusal:
            deed = f"{redacted(call.url)}: {call.deed} failed"
            raise failure(deed, refusal, self._identity.check, anonymous=shown.is_nobody)
        return answer

    async def _sent(
        self, call: Call, shown: Shown, stack: AsyncExitStack
    ) -> tuple[Answer, Refusal | None]:
        """What it answers, and what that means where it is no success."""
        answer = await begun(call, self._request(call, shown), stack)
        if call.wants(answer.status):
            return answer, None
        with heard(call.url, call.deed):
            async with asyncio.timeout(BRIEF):
                return answer, await refusal_of(answer)

    def _request(self, call: Call, shown: Shown) -> AbstractAsyncContextManager[Answer]:
        path, body = f"{self._base}{call.path}", call.body
        headers = stamped(call.headers, self._now())
        if body is not None:
            headers |= {"Content-Length": str(len(body)), "Content-Type": KIND}
        if shown.key:
            request = Request(
                method=call.method,
                account=self._account,
                path=path,
                query=call.query,
                headers=headers,
            )
            headers["Authorization"] = authorization(request, shown.key)
        elif shown.token:
            headers["Authorization"] = f"Bearer {shown.token}"
        asked = (f"{name}={quote(one, safe='')}" for name, one in call.query.items())
        query = "&".join(filter(None, (*asked, shown.signature)))
        target = f"{path}?{query}" if query else path
        return self._client.request(call.method, self._origin, target, headers, body)


@contextmanager
def _about(call: Call) -> Generator[None]:
    """What is wrong with our identity is said of the URL that needs it."""
    try:
        yield
    except FunnelError as error:
        told = type(error)(f"{redacted(call.url)}: {error}")
        told.retry_after = error.retry_after
        raise told from error
