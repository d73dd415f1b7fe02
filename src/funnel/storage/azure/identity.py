"""Who we are to Azure: a key, a signature, a token, or nobody."""

import asyncio
import base64
import binascii
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

from funnel.core.error import FunnelError, Invalid, Unavailable
from funnel.ports import Clock
from funnel.storage.azure.settings import AzureAccount
from funnel.storage.hosts import revealed

log = logging.getLogger(__name__)

EARLY: Final = 300.0
"""Seconds before its end in which a token is renewed."""
SOON: Final = 10.0
"""Seconds until a token that is about to end is renewed again."""
AGAIN: Final = 300.0
"""Seconds after which a machine that knows nobody is asked again."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Shown:
    """One of them lets us in; none is nobody."""

    key: bytes = b""
    signature: str = ""
    """A query."""
    token: str = ""

    @property
    def is_nobody(self) -> bool:
        return not (self.key or self.signature or self.token)


NOBODY: Final = Shown()
NOBODY_IN: Final = (
    "nobody is logged in: give Key or SASToken of account {} in AzureStorage, or this machine an"
    " identity"
)
ROLES: Final = "check the roles of who is logged in here, such as Storage Blob Data Contributor"


@dataclass(frozen=True, slots=True, repr=False)
class Token:
    """`until` is in seconds since 1970."""

    text: str
    until: float


Source: TypeAlias = Callable[[], Awaitable[Token | None]]
"""Says None where it knows nobody. Raises `Denied`, `Invalid` or `Unavailable`."""


class Identity(Protocol):
    """Who asks."""

    @property
    def check(self) -> str:
        """What to look at where that one is refused."""
        ...

    async def shown(self) -> Shown:
        """Raises `Denied`, `Invalid` or `Unavailable`."""
        ...

    async def another(self, refused: Shown) -> Shown | None:
        """What there is now in place of what was refused; None for nothing else."""
        ...


class Plain:
    """Always the same."""

    def __init__(self, shown: Shown, check: str) -> None:
        self._shown = shown
        self.check = check

    async def shown(self) -> Shown:
        return self._shown

    async def another(self, refused: Shown) -> Shown | None:
        del refused
        return None


class Written:
    """What the settings say of an account; a file of it that is written anew is read anew."""

    def __init__(self, account: AzureAccount) -> None:
        self._account = account
        self._where = f"account {account.account} in AzureStorage"
        self._shown: Shown | None = None
        has_key = account.key or account.key_file
        self.check = (
            f"check Key of {self._where}, and the clock of this machine"
            if has_key
            else f"check what SASToken of {self._where} allows, and until when"
        )

    async def shown(self) -> Shown:
        if self._shown is None:
            self._shown = await asyncio.to_thread(self._read)
        return self._shown

    async def another(self, refused: Shown) -> Shown | None:
        if not (self._account.key_file or self._account.sas_token_file):
            return None
        self._shown = await asyncio.to_thread(self._read)
        return self._shown if self._shown != refused else None

    def _read(self) -> Shown:
        one = self._account
        try:
            if one.key or one.key_file:
                return Shown(key=_decoded(revealed(one.key, one.key_file), self._where))
            return Shown(signature=_query(revealed(one.sas_token, one.sas_token_file), self._where))
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(f"a file of {self._where} is of no use: {error}") from error


class Surroundings:
    """The first of the sources that knows who we are; one is asked at a time, and all wait."""

    def __init__(self, sources: Sequence[Source], account: AzureAccount, now: Clock) -> None:
        self._sources = sources
        self._now = now
        self._lock = asyncio.Lock()
        self._token: Token | None = None
        self._had_one = False
        self._until = 0.0
        self._nobody = NOBODY_IN.format(account.account)

    @property
    def check(self) -> str:
        return ROLES if self._token else self._nobody

    async def shown(self) -> Shown:
        if self._now().timestamp() >= self._until:
            async with self._lock:
                if self._now().timestamp() >= self._until:
                    await self._ask()
        return Shown(token=self._token.text) if self._token else NOBODY

    async def another(self, refused: Shown) -> Shown | None:
        if not refused.token:
            return None
        if self._token and self._token.text == refused.token:
            self._token, self._until = None, 0.0
        found = await self.shown()
        return found if found != refused else None

    async def _ask(self) -> None:
        """Where no new token comes, one that holds serves on."""
        try:
            self._token = await self._found()
        except FunnelError as error:
            now = self._now().timestamp()
            if not self._token or self._token.until <= now:
                raise
            log.warning("the token that there is serves on: %s", error)
            self._until = now + SOON
            return
        now = self._now().timestamp()
        # A token that is about to end is the best there is.
        self._until = max(self._token.until - EARLY, now + SOON) if self._token else now + AGAIN

    async def _found(self) -> Token | None:
        for source in self._sources:
            if found := await source():
                self._had_one = True
                return found
        if self._had_one:
            # As of a machine that is too busy to answer.
            raise Unavailable("no identity is offered, where there was one before")
        return None


def _decoded(key: str, where: str) -> bytes:
    try:
        return base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        raise Invalid(f"Key of {where} is none: it is not Base64") from None


def _query(given: str, where: str) -> str:
    found = given.strip().removeprefix("?")
    if "sig=" not in found or not found.isascii() or set(found) & set(" \r\n\t#"):
        raise Invalid(f"SASToken of {where} is none: it has no sig=, or what no URL has")
    return found
