"""Who is asking."""

from collections.abc import Mapping
from typing import Protocol

from funnel.core.access import Caller
from funnel.core.secret import Secret
from funnel.core.value import Value


class Credentials(Value, kw_only=True):
    """
    All that a request says of who sends it, whatever the door.

    `headers` have names in lower case; those of gRPC are its metadata. `peer` is the address
    that it comes from, without a port. `names` are those in a client certificate that was
    verified.
    """

    headers: Mapping[str, str] = {}
    peer: str = ""
    names: tuple[str, ...] = ()

    @property
    def authorization(self) -> str:
        return self.headers.get("authorization", "")


class Login(Protocol):
    """How browsers log in at somebody else's."""

    @property
    def path(self) -> str:
        """Of the login, as browsers reach it."""
        ...

    @property
    def is_secure(self) -> bool:
        """Whether they come by TLS."""
        ...

    async def begin(self) -> tuple[str, str]:
        """Where the browser logs in, and what it must bring back from there."""
        ...

    async def end(self, code: str, state: str, issuer: str, sealed: str) -> tuple[Secret, int]:
        """The token of whom is sent back, good for so many seconds. Raises `Unauthenticated`."""
        ...


class Identity(Protocol):
    """One way to say who one is."""

    @property
    def challenge(self) -> str:
        """How clients are told of it, for `WWW-Authenticate`; empty: they need not know."""
        return ""

    @property
    def login(self) -> Login | None:
        """None where browsers cannot log in this way, or do so by what they send."""
        return None

    async def identify(self, credentials: Credentials) -> Caller | None:
        """
        None where nothing is said in this way.

        Raises `Unauthenticated` where something is said that is not true, and `Unavailable`
        where that cannot be known now.
        """
        ...
