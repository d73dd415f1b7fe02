"""Who is let in, before anything is looked at for them."""

from typing import Final
from urllib.parse import urlsplit

from funnel.api.answer import Answer, refusal
from funnel.api.operations import Table
from funnel.api.request import Request
from funnel.core.access import ANYONE
from funnel.core.error import Denied, Unauthenticated
from funnel.ports import Credentials
from funnel.service.callers import Callers

SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing."""
OURS: Final = frozenset({"", "same-origin", "none"})
"""What browsers say of a request that no page of another site has made (Fetch Metadata)."""


class Gate:
    def __init__(self, callers: Callers, operations: Table) -> None:
        self._callers = callers
        self._operations = operations

    async def let_in(self, request: Request, template: str, method: str) -> None:
        """
        Find out who is asking, and whether they may ask this at all.

        Raises `Unauthenticated`, `Denied`, `Busy` and `Unavailable`.
        """
        if request.method not in SAFE and is_from_another_site(request):
            raise Denied("a page of another site may not do this")
        row = self._operations.get(template, {})
        if method in row and row[method] is None:
            return
        if self._callers.are_all_alike:
            request.caller = ANYONE
        else:
            operation = row.get(method)
            request.caller = await self._callers.let_in(credentials_of(request), operation)

    def demand_row(self, template: str, method: str) -> None:
        """Raises `Denied` where it is not said who may ask this."""
        if method not in self._operations.get(template, {}):
            raise Denied("nobody may do this")

    def refusal(self, error: Unauthenticated) -> Answer:
        """Says how to log in (RFC 9110, 11.6.1)."""
        answer = refusal(error)
        for one in self._callers.challenges:
            answer.add("WWW-Authenticate", one)
        return answer


def credentials_of(request: Request) -> Credentials:
    """What is there more than once is put together, as RFC 9110 has it."""
    headers: dict[str, str] = {}
    for name, value in request.headers:
        key, text = name.decode("latin-1"), value.decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    return Credentials(headers=headers, peer=request.peer)


def is_from_another_site(request: Request) -> bool:
    """
    Browsers send what they know of a user to wherever a page sends them, so that counts too.

    Those that say nothing of the site say its origin; who is no browser says neither.
    """
    if site := request.header(b"sec-fetch-site"):
        return site not in OURS
    origin = request.header(b"origin")
    return bool(origin) and urlsplit(origin).netloc.lower() != request.header(b"host").lower()
