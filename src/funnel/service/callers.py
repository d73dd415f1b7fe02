"""Who is asking, whatever the door and the way to say it."""

from collections.abc import Sequence

from funnel.core.access import ANYONE, Caller, Operation, demand
from funnel.core.error import Denied, Unauthenticated
from funnel.ports import Credentials, Identity, Login
from funnel.service.audit import audit
from funnel.service.pace import Pace

MISSING = "Basic/Bearer authorization token missing"
"""The reference's text."""
UNKNOWN = "the authorization is of no kind that this server takes"


class Callers:
    """
    Asks one identity after the other.

    `accounts` are those of users; without any, who shows no token of ours is anyone. `tokens`
    are asked first, so that ours are sent to nobody else.
    """

    def __init__(
        self,
        accounts: Sequence[Identity] = (),
        tokens: Identity | None = None,
        pace: Pace | None = None,
    ) -> None:
        self._pace = pace or Pace()
        self._accounts = accounts
        self._identities = (*([tokens] if tokens else []), *accounts)
        self.challenges = tuple(one.challenge for one in accounts if one.challenge)
        """For `WWW-Authenticate`."""

    @property
    def login(self) -> Login | None:
        """How browsers log in; None where they need not, or do so by what they send."""
        return next((one.login for one in self._accounts if one.login), None)

    @property
    def are_known(self) -> bool:
        """Whether there are accounts."""
        return bool(self._accounts)

    @property
    def are_all_alike(self) -> bool:
        """Whether it does not matter who is asking."""
        return not self._accounts and not self._pace.is_limited

    async def let_in(self, credentials: Credentials, operation: Operation | None) -> Caller:
        """
        Who is asking, where they may ask this.

        Raises `Denied` for what the caller may never do, `Busy` for what was too much, and
        the errors of `caller_of`.
        """
        caller = await self.caller_of(credentials)
        self._pace.count(caller, operation, credentials.peer)
        try:
            if operation:
                demand(caller, operation)
        except Denied as error:
            audit("refused", user=caller.name, kind=caller.kind, peer=credentials.peer, why=error)
            raise
        return caller

    async def caller_of(self, credentials: Credentials) -> Caller:
        """
        Raises `Unauthenticated`, and `Unavailable` where nobody can say now who it is.

        Raises `Busy` for who was wrong too often.
        """
        self._pace.demand_login(credentials)
        for one in self._identities:
            try:
                caller = await one.identify(credentials)
            except Unauthenticated as error:
                self._pace.refuse_login(credentials, str(error))
                raise
            if caller:
                self._pace.take_login(credentials)
                return caller
        if not self._accounts:
            return ANYONE
        if not credentials.authorization:
            raise Unauthenticated(MISSING)
        self._pace.refuse_login(credentials, UNKNOWN)
        raise Unauthenticated(UNKNOWN)
