"""Logins of people, as `aws sso login` leaves them in ~/.aws/sso/cache, renewed as they end."""

import asyncio
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha1
from pathlib import Path
from tempfile import mkstemp
from typing import Any, Final

from msgspec import DecodeError, ValidationError, json

from funnel.core.error import Denied, FunnelError
from funnel.core.secret import Secret, secret_of
from funnel.core.value import Value
from funnel.ports import Clock
from funnel.storage.s3.issuers import Issuers

log = logging.getLogger(__name__)

EARLY: Final = timedelta(minutes=15)
"""Before its end, a login is renewed."""
NOTHING: Final = Secret()


class _Login(Value, kw_only=True, rename="camel"):
    """Sessions can be renewed, by who has registered for it; logins of before them cannot."""

    access_token: Secret
    expires_at: str
    refresh_token: Secret = NOTHING
    client_id: str = ""
    client_secret: Secret = NOTHING
    registration_expires_at: str = ""

    @property
    def until(self) -> datetime:
        return _time(self.expires_at)

    def is_renewable(self, now: datetime) -> bool:
        parts = (self.refresh_token, self.client_id, self.client_secret)
        return all(parts) and _time(self.registration_expires_at) > now


class Logins:
    """Those in `folder`, which other programs of the same user read and write as well."""

    def __init__(self, folder: Path, issuers: Issuers, now: Clock) -> None:
        self._folder = folder
        self._issuers = issuers
        self._now = now

    async def token(self, session: str, region: str, profile: str) -> Secret:
        """Raises `Denied` where nobody is logged in any more, and `Unavailable`."""
        path = self._folder / f"{sha1(session.encode(), usedforsecurity=False).hexdigest()}.json"
        login = await self._login(path, profile)
        if login.until - self._now() < EARLY and login.is_renewable(self._now()):
            login = await self._renewed(path, login, region, profile)
        if login.until <= self._now():
            raise Denied(f"the login for the profile {profile!r} has expired: {log_in(profile)}")
        return login.access_token

    async def _login(self, path: Path, profile: str) -> _Login:
        try:
            text = await asyncio.to_thread(path.read_bytes)
            found = json.decode(text, type=_Login, dec_hook=secret_of)
            _ = found.until, found.is_renewable(self._now())
        except (OSError, DecodeError, ValidationError, ValueError):
            raise Denied(
                f"nobody is logged in for the profile {profile!r}: {log_in(profile)}"
            ) from None
        return found

    async def _renewed(self, path: Path, login: _Login, region: str, profile: str) -> _Login:
        try:
            answer = await self._issuers.renewed(
                region, login.client_id, login.client_secret, login.refresh_token
            )
        except FunnelError as error:
            # Another program may have been the first, and what is there may hold for a while.
            found = await self._login(path, profile)
            if found.until > self._now():
                return found
            why = f"the login for the profile {profile!r} has expired and is not renewed: {error}"
            raise type(error)(f"{why}; {log_in(profile)}") from None
        end = f"{self._now() + timedelta(seconds=answer.expires_in):%Y-%m-%dT%H:%M:%SZ}"
        told = {"accessToken": answer.access_token.reveal(), "expiresAt": end}
        if answer.refresh_token:
            told["refreshToken"] = answer.refresh_token.reveal()
        try:
            await asyncio.to_thread(_change, path, told)
        except (OSError, DecodeError) as error:
            log.warning("the renewed login of %s cannot be kept: %s", profile, error)
        return _Login(access_token=answer.access_token, expires_at=end)


def log_in(profile: str) -> str:
    return f"run `aws sso login --profile {profile}` as the user of this program"


def _time(text: str) -> datetime:
    """Raises `ValueError`."""
    found = datetime.fromisoformat(text.replace("UTC", "+00:00"))
    return found.replace(tzinfo=found.tzinfo or UTC)


def _change(path: Path, told: Mapping[str, str]) -> None:
    """What others have written beside it stays. Whole, and for the user alone. Blocks."""
    found: dict[str, Any] = json.decode(path.read_bytes(), type=dict[str, Any])
    number, name = mkstemp(dir=path.parent, prefix=".funnel-")
    try:
        with os.fdopen(number, "wb") as file:
            file.write(json.encode({**found, **told}))
            file.flush()
            os.fsync(number)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
