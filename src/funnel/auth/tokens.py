"""Tokens of workers and nodes: signed, short-lived, and believed without asking the database."""

from base64 import urlsafe_b64decode
from datetime import timedelta
from typing import Any, Final

import jwt
from msgspec import ValidationError, convert, json, to_builtins

from funnel.auth.keys import KeyFile, Keys
from funnel.core.access import Caller, Kind
from funnel.core.error import Unauthenticated
from funnel.core.secret import Secret
from funnel.core.task import TaskId
from funnel.core.value import Value
from funnel.ports import Clock, Credentials, Identity

ALGORITHM: Final = "HS256"
ISSUER: Final = "funnel"
TYPES: Final = {Kind.WORKER: "funnel-worker+jwt", Kind.NODE: "funnel-node+jwt"}
LONGEST: Final = 4096
"""Characters that are looked at; a token of ours has a tenth of it."""
NOT_OURS: Final = "the token was not made by this server, or was changed since"


class _Claims(Value, kw_only=True):
    """What is signed (RFC 7519). `aud` says the kind once more; a worker has a fence, from 1 on."""

    iss: str
    aud: str
    sub: str
    iat: int
    exp: int
    fence: int = 0


class Tokens(Identity):
    """
    Makes tokens, and says who shows one.

    Their kind is in their head, so that a token of another issuer is left to others; and it is
    signed, so that none can stand for another.
    """

    def __init__(self, keys: Keys | KeyFile, now: Clock) -> None:
        self._keys = keys
        self._now = now

    def of_worker(self, task_id: TaskId, fence: int, lasts: timedelta) -> Secret:
        """For one attempt of one task; a worker that goes on for longer gets another in time."""
        return self._signed(Kind.WORKER, task_id, fence, lasts)

    def of_node(self, name: str, lasts: timedelta) -> Secret:
        return self._signed(Kind.NODE, name, 0, lasts)

    async def identify(self, credentials: Credentials) -> Caller | None:
        """A node that shows a certificate, too, must be named there as it is here."""
        scheme, _, token = credentials.authorization.partition(" ")
        caller = self.caller(token.strip()) if scheme.lower() == "bearer" else None
        names = credentials.names
        if caller and caller.kind is Kind.NODE and names and caller.name not in names:
            raise Unauthenticated(f"the token is that of {caller.name}, the certificate is not")
        return caller

    def caller(self, token: str) -> Caller | None:
        """
        Who shows this token; None where it is not of our kinds.

        Raises `Unauthenticated` for one that is over, or not as it was signed.
        """
        head = _head(token)
        kind = next((kind for kind, name in TYPES.items() if name == head.get("typ")), None)
        if kind is None:
            return None
        key = self._keys.get(str(head.get("kid")))
        if key is None:
            raise Unauthenticated(NOT_OURS)
        claims = _claims(token, key, kind)
        if claims.exp <= self._now().timestamp():
            raise Unauthenticated("the token is over; ask for another")
        if kind is Kind.NODE:
            return Caller(name=claims.sub, kind=kind)
        return Caller(name="", kind=kind, task_id=TaskId(claims.sub), fence=claims.fence)

    def _signed(self, kind: Kind, subject: str, fence: int, lasts: timedelta) -> Secret:
        now = self._now()
        claims = _Claims(
            iss=ISSUER,
            aud=kind,
            sub=subject,
            iat=int(now.timestamp()),
            exp=int((now + lasts).timestamp()),
            fence=fence,
        )
        name, key = self._keys.first
        head = {"typ": TYPES[kind], "kid": name}
        return Secret(jwt.encode(to_builtins(claims), key, ALGORITHM, headers=head))


def _head(token: str) -> dict[str, Any]:
    """What the token says of itself, which is not to be believed yet; others' pass by here too."""
    if len(token) > LONGEST or not token.isascii():
        return {}
    head = token.partition(".")[0]
    try:
        text = urlsafe_b64decode(head + "=" * (-len(head) % 4))
        return json.decode(text, type=dict[str, Any])
    except (ValueError, RecursionError):
        return {}


def _claims(token: str, key: bytes, kind: Kind) -> _Claims:
    """What was signed. When it is over is told by our own clock."""
    try:
        found = jwt.decode(
            token,
            key,
            algorithms=[ALGORITHM],
            audience=kind.value,
            issuer=ISSUER,
            options={"verify_exp": False, "verify_iat": False},
        )
        claims = convert(found, _Claims)
    except (jwt.InvalidTokenError, ValidationError):
        raise Unauthenticated(NOT_OURS) from None
    if not claims.sub or (claims.fence > 0) is not (kind is Kind.WORKER):
        raise Unauthenticated(NOT_OURS)
    return claims
