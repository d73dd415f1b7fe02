"""Users with passwords, and what they send (RFC 7617)."""

import binascii
import logging
from base64 import b64decode
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from typing import Final

from funnel.auth.passwords import Passwords, is_hash
from funnel.auth.settings import BasicCredential
from funnel.core.access import Caller
from funnel.core.error import Unauthenticated
from funnel.ports import Credentials, Identity

log = logging.getLogger(__name__)

REFUSED: Final = "Basic-authentication failed"


class Users(Identity):
    def __init__(self, users: Sequence[BasicCredential], passwords: Passwords) -> None:
        self._callers = {one.user: Caller(name=one.user, administrator=one.admin) for one in users}
        self._passwords = passwords

    @property
    def challenge(self) -> str:
        return 'Basic realm="Funnel", charset="UTF-8"'

    async def identify(self, credentials: Credentials) -> Caller | None:
        scheme, _, said = credentials.authorization.partition(" ")
        if scheme.lower() != "basic":
            return None
        user, password = _read(said)
        if not await self._passwords.are(user, password, credentials.peer):
            raise Unauthenticated(REFUSED)
        return self._callers[user]


def _read(said: str) -> tuple[str, str]:
    try:
        user, colon, password = b64decode(said.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError, ValueError):
        raise Unauthenticated(REFUSED) from None
    if not colon:
        raise Unauthenticated(REFUSED)
    return user, password


@asynccontextmanager
async def opened(users: Sequence[BasicCredential]) -> AsyncGenerator[Users | None]:
    for one in users:
        if not is_hash(one.password.reveal()):
            log.warning(
                "the password of user %r is plain text in the settings:"
                " put there what `funnel user hash` makes of it",
                one.user,
            )
    known = {one.user: one.password.reveal() for one in users}
    yield Users(users, Passwords(known)) if known else None
