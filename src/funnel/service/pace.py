"""How fast one user may go, and how often one may guess."""

import hashlib
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from math import ceil
from time import monotonic

from funnel.core.access import Caller, Kind, Operation
from funnel.core.error import Busy
from funnel.core.rate import GUESSES, LOGINS, Rate
from funnel.core.reach import near
from funnel.ports import Credentials
from funnel.service.audit import audit
from funnel.service.turnstile import Seen, Turnstile


class Pace:
    """
    `calls` and `creates` are what each user may make; None: as many as wanted.

    Where there are no accounts, each address is a user. Workers and nodes are none: what they
    send is the work of tasks that were let in.
    """

    def __init__(
        self,
        calls: Rate | None = None,
        creates: Rate | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._calls = Turnstile(calls, clock) if calls else None
        self._creates = Turnstile(creates, clock) if creates else None
        self._passwords = Turnstile(LOGINS, clock)
        self._tokens = Turnstile(LOGINS, clock)
        self._addresses = Turnstile(GUESSES, clock)
        self._welcome = Seen()

    @property
    def is_limited(self) -> bool:
        return bool(self._calls or self._creates)

    def count(self, caller: Caller, operation: Operation | None, peer: str) -> None:
        """One more call. Raises `Busy` for one too many."""
        if caller.kind is not Kind.USER:
            return
        who = f"user {caller.name}" if caller.name else f"from {near(peer)}"
        if self._calls:
            _take(self._calls, who, caller, peer, "calls")
        if self._creates and operation is Operation.CREATE_TASK:
            _take(self._creates, who, caller, peer, "creates")

    def demand_login(self, credentials: Credentials) -> None:
        """Raises `Busy` for who was wrong too often; it may be right this time."""
        logins = self._logins(credentials)
        if logins.is_quiet:
            return
        guess = _guess(credentials)
        if wait := logins.wait(guess):
            raise _too_much("too many wrong logins", wait)
        is_guessing = logins is self._passwords and guess not in self._welcome
        if is_guessing and (wait := self._addresses.wait(near(credentials.peer))):
            raise _too_much("too many wrong logins from this address", wait)

    def take_login(self, credentials: Credentials) -> None:
        """Right: nobody else who guesses at the same address stops this user there any more."""
        if user_of(credentials):
            self._welcome.add(_guess(credentials))

    def refuse_login(self, credentials: Credentials, why: str) -> None:
        """Wrong once more."""
        user, peer = user_of(credentials), credentials.peer
        audit("login refused", user=user, peer=peer, why=why)
        if self._logins(credentials).count(_guess(credentials)):
            audit("logins stopped", user=user, peer=peer)
        if user and self._addresses.count(near(peer)):
            audit("logins stopped", peer=peer)

    def _logins(self, credentials: Credentials) -> Turnstile:
        """So that many wrong tokens, which cost nothing, make nobody forget a wrong password."""
        return self._passwords if user_of(credentials) else self._tokens


def pace_of(calls: float, creates: float) -> Pace:
    """So many a second, and of each what may be made in ten seconds at once; 0: any number."""
    return Pace(_rate(calls), _rate(creates))


def _rate(most: float) -> Rate | None:
    return Rate(most, burst=max(1.0, 10 * most)) if most else None


def user_of(credentials: Credentials) -> str:
    """Who somebody says to be; empty where that is said in no way that we read."""
    scheme, _, said = credentials.authorization.partition(" ")
    if scheme.lower() == "basic":
        with suppress(ValueError):
            return b64decode(said).decode().partition(":")[0]
    return ""


def _guess(credentials: Credentials) -> str:
    """
    What is counted together: one user at one address.

    A token names nobody before it is found to be right; each is counted by itself, so that one
    that is over stops nobody else who comes by the same proxy.
    """
    who = user_of(credentials) or credentials.authorization
    digest = hashlib.blake2b(who.encode(errors="surrogatepass"), digest_size=16).hexdigest()
    return f"{digest} {near(credentials.peer)}"


def _take(turnstile: Turnstile, who: str, caller: Caller, peer: str, limit: str) -> None:
    if wait := turnstile.wait(who):
        raise _too_much(f"more {limit} than this server takes from one user", wait)
    if turnstile.count(who):
        audit("limit reached", limit=limit, user=caller.name, peer=peer)


def _too_much(what: str, wait: float) -> Busy:
    error = Busy(f"{what}; try again in {ceil(wait)} s")
    error.retry_after = wait
    return error
