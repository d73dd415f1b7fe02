"""Who we are to Google: tokens, and where they come from."""

import asyncio
import io
import logging
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Protocol

import aiohttp
from gcloud.aio.auth import Token
from msgspec import DecodeError, ValidationError, json

from funnel.core.error import Denied, FunnelError, Invalid, Unavailable
from funnel.core.value import Value
from funnel.storage.turns import Turns

log = logging.getLogger(__name__)

SCOPES: Final = ["https://www.googleapis.com/auth/devstorage.read_write"]
VARIABLE: Final = "GOOGLE_APPLICATION_CREDENTIALS"
SETTING: Final = "GoogleStorage.CredentialsFile"
KINDS: Final = frozenset(
    {"authorized_user", "external_account", "impersonated_service_account", "service_account"}
)
TIMEOUT: Final = 10
"""Seconds for one request for a token."""
NEAR: Final = 3
"""Seconds for one to the machine itself."""
NEARLY: Final = 300
"""A token is renewed so many seconds before it expires."""
SOON: Final = 10
"""Seconds until a token that is about to end is renewed again, after that has failed."""
AGAIN: Final = 300
"""Seconds after which a machine without credentials is asked again."""


class _File(Value):
    type: str = ""


class Credentials(Protocol):
    """Who asks."""

    async def token(self) -> str:
        """For the header; empty for nobody. Raises `Denied`, `Invalid` or `Unavailable`."""
        ...

    def forget(self, token: str) -> bool:
        """Whether there may be another one, since this one was refused."""
        ...


class Anonymous:
    """Nobody."""

    async def token(self) -> str:
        return ""

    def forget(self, token: str) -> bool:
        del token
        return False


@dataclass(frozen=True, slots=True)
class _Held:
    """Both by the clock of the loop: a new one is asked for before this one ends."""

    token: str
    renewed: float
    end: float


class Account:
    """The first account that is found; one request for a token at a time, and all wait for it."""

    def __init__(self, file: str, session: aiohttp.ClientSession) -> None:
        self._file = file
        self._session = session
        self._turns = Turns()
        self._held: _Held | None = None
        self._had_one = False

    async def token(self) -> str:
        async with self._turns.turn():
            if self._held is None or self._held.renewed <= _now():
                self._held = await self._next()
            return self._held.token

    def forget(self, token: str) -> bool:
        if self._held and self._held.token == token:
            self._held = None
        return bool(token)

    async def _next(self) -> _Held:
        """Where no new token comes, one that holds serves on."""
        try:
            return await self._renewed()
        except FunnelError as error:
            if not self._held or self._held.end <= _now():
                raise
            log.warning("the token that there is serves on: %s", error)
            return replace(self._held, renewed=_now() + SOON)

    async def _renewed(self) -> _Held:
        """A file that is written anew is read anew."""
        where, text = await asyncio.to_thread(found, self._file)
        source = self._source(where, text)
        try:
            answer = await source.refresh(timeout=TIMEOUT if text else NEAR)
        except Exception as error:
            # A machine that had an account may be too busy to tell.
            if not text and not self._had_one and _is_elsewhere(error):
                return _Held("", _now() + AGAIN, _now() + AGAIN)
            raise _failure(where, error) from error
        self._had_one = True
        lasting = max(answer.expires_in - NEARLY, answer.expires_in / 2)
        return _Held(answer.value, _now() + lasting, _now() + answer.expires_in)

    def _source(self, where: str, text: str) -> Token:
        """One of the library's, but for its own search for files, and its tries that take long."""
        session: Any = self._session
        try:
            return Token(io.StringIO(text or "{}"), session=session, scopes=SCOPES)
        except (KeyError, ValueError, TypeError) as error:
            raise Invalid(f"{where} lacks what its kind needs: {error}") from error


def _now() -> float:
    return asyncio.get_running_loop().time()


def found(file: str) -> tuple[str, str]:
    """
    What names the credentials, and the text of their file; empty where there is none.

    Raises `Invalid` for a file that was named and is none. Blocks.
    """
    for where, path in ((SETTING, file), (VARIABLE, os.environ.get(VARIABLE, ""))):
        if path:
            return where, _checked(where, Path(path))
    folder = Path(os.environ.get("CLOUDSDK_CONFIG") or "~/.config/gcloud")
    usual = folder.expanduser() / "application_default_credentials.json"
    if usual.is_file():
        return str(usual), _checked(str(usual), usual)
    return "the service account of this machine", ""


def _checked(where: str, path: Path) -> str:
    try:
        text = path.expanduser().read_text()
        known = _kind(text) in KINDS
    except (OSError, UnicodeDecodeError, DecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not JSON"
        raise Invalid(f"{where}: {path} cannot be read: {reason}") from None
    if not known:
        raise Invalid(
            f"{where}: {path} has no credentials of Google; make a key of a service account"
        )
    return text


def _kind(text: str) -> str:
    try:
        return json.decode(text, type=_File).type
    except ValidationError:
        return ""


def _is_elsewhere(error: Exception) -> bool:
    """Whether this is no machine of Google's, or one that has no service account."""
    if isinstance(error, aiohttp.ClientResponseError):
        return error.status == 404
    return isinstance(error, (aiohttp.ClientError, TimeoutError, OSError))


def _failure(where: str, error: Exception) -> FunnelError:
    if isinstance(error, aiohttp.ClientResponseError):
        kind = Denied if 400 <= error.status < 500 and error.status != 429 else Unavailable
        return kind(f"{where}: no token for Google Storage: {error.status} {_reason(error)}")
    if isinstance(error, (aiohttp.ClientError, TimeoutError, OSError)):
        return Unavailable(f"{where}: no token for Google Storage: {error or 'no answer in time'}")
    # What a key is wrong about is said without the key.
    return Invalid(f"{where} is of no use: {type(error).__name__}")


def _reason(error: aiohttp.ClientResponseError) -> str:
    """
    What the service itself says, without what was sent.

    >>> text = 'Bad Request: {"error": "invalid_grant", "error_description": "Bad key"}'
    >>> _reason(aiohttp.ClientResponseError(None, (), message=text))
    'invalid_grant: Bad key'
    """
    try:
        told: Any = json.decode(error.message.partition(": ")[2])
    except DecodeError:
        return ""
    words = [told.get(name) for name in ("error", "error_description")] if told else []
    return ": ".join(word for word in words if isinstance(word, str))
