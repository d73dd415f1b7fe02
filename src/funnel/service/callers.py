"""Who is asking, whatever the door and the way to say it."""

from collections.abc import Sequence

from funnel.core.access import ANYONE, Caller
from funnel.core.error import Unauthenticated
from funnel.ports import Credentials, Identity

MISSING = "Basic/Bearer authorization token missing"
"""The reference's text."""


class Callers:
    """
    Asks one identity after the other.

    `accounts` are those of users; without any, who shows no token of ours is anyone. `tokens`
    are asked first, so that ours are sent to nobody else.
    """

    def __init__(self, accounts: Sequence[Identity] = (), tokens: Identity | None = None) -> None:
        self._accounts = accounts
        self._identities = (*([tokens] if tokens else []), *accounts)
        self.challenges = tuple(one.challenge for one in accounts if one.challenge)
        """For `WWW-Authenticate`."""

    @property
    def are_known(self) -> bool:
        """Whether there are accounts."""
        return bool(self._accounts)

    async def caller_of(self, credentials: Credentials) -> Caller:
        """Raises `Unauthenticated`, and `Unavailable` where nobody can say now who it is."""
        for one in self._identities:
            if caller := await one.identify(credentials):
                return caller
        if self._accounts:
            raise Unauthenticated(MISSING)
        return ANYONE
