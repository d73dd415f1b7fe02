"""Requests to Google Storage, one try each."""

from contextlib import AsyncExitStack
from typing import Final
from urllib.parse import urlencode

from funnel.core.error import Unavailable
from funnel.net.client import Answer, Client, place_of
from funnel.storage.calls import Call, Caller, begun
from funnel.storage.google.credentials import SETTING, Credentials
from funnel.storage.web import refusal

CHECK: Final = f"check what the account of {SETTING} may do"
NOBODY: Final = f"nobody is logged in: name a key in {SETTING}"
MISMATCH: Final = "match calculated"
"""What Google says of a checksum that is another one than ours."""


class Spoiled(Unavailable):
    """What has come is not what was sent, and is not kept."""


class Door(Caller):
    """
    Where it is, who comes, and for whose project.

    A path may be a whole URL that Google gave, which says by itself who may use it.
    """

    def __init__(self, client: Client, credentials: Credentials, root: str, project: str) -> None:
        self._client = client
        self._credentials = credentials
        self._root = root
        self._project = {"userProject": project} if project else {}

    async def answer(self, call: Call, stack: AsyncExitStack) -> Answer:
        """A token that is refused may have been taken back; then there is a new one."""
        is_given = "://" in call.path
        token = "" if is_given else await self._credentials.token()
        answer = await self._sent(call, token, stack)
        if answer.status == 401 and self._credentials.forget(token):
            token = await self._credentials.token()
            answer = await self._sent(call, token, stack)
        if not call.wants(answer.status):
            check = CHECK if token or is_given else NOBODY
            failure = await refusal(answer, call.url, call.deed, check)
            raise Spoiled(str(failure)) if MISMATCH in str(failure) else failure
        return answer

    async def _sent(self, call: Call, token: str, stack: AsyncExitStack) -> Answer:
        headers = dict(call.headers)
        if token:
            headers["Authorization"] = f"Bearer {token}"
        origin, target = place_of(self._url(call))
        asking = self._client.request(call.method, origin, target, headers, call.body)
        return await begun(call, asking, stack)

    def _url(self, call: Call) -> str:
        if "://" in call.path:
            return call.path
        return f"{self._root}{call.path}?{urlencode({**call.query, **self._project})}"
