"""Who we are to a registry: what `docker login` has kept in a file, or a helper keeps for it."""

import asyncio
import logging
import re
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from funnel.core.value import Value
from funnel.program import printed

V = TypeVar("V")

log = logging.getLogger(__name__)

HUB: Final = "https://index.docker.io/v1/"
"""The name of Docker Hub where credentials are kept."""
HUB_HOSTS: Final = frozenset({"docker.io", "index.docker.io", "registry-1.docker.io"})
HELPER_SECONDS: Final = 30.0
NAMELESS: Final = "<token>"
"""A helper that says this for a user has a token and no password."""
_HELPER: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


class _Login(Value, kw_only=True):
    """In the words of the engine's API, and of the file."""

    auth: str = ""
    username: str = ""
    password: str = ""
    identitytoken: str = ""
    serveraddress: str = ""

    @property
    def is_empty(self) -> bool:
        return not (self.username or self.identitytoken)


class _File(Value, rename="camel"):
    auths: Mapping[str, _Login] = {}
    creds_store: str = ""
    cred_helpers: Mapping[str, str] = {}


class _Helped(Value, rename="pascal"):
    username: str = ""
    secret: str = ""


async def login(image: str, environment: Mapping[str, str], home: Path) -> str:
    """
    What the header `X-Registry-Auth` says for an image; empty where we know nobody there.

    It is read each time, since tokens are renewed; it is a secret, and so is told to nobody else.
    """
    folder = Path(environment.get("DOCKER_CONFIG") or home / ".docker")
    server = registry(image)
    kept = await asyncio.to_thread(_read, folder / "config.json")
    helper = _of(kept.cred_helpers, server) or kept.creds_store
    found = await _ask(helper, server) if helper else None
    if found is None or found.is_empty:
        found = _decoded(_of(kept.auths, server) or _Login(), server)
    if found.is_empty:
        return ""
    return urlsafe_b64encode(
        msgspec.json.encode(msgspec.structs.replace(found, auth="", serveraddress=server))
    ).decode()


def registry(image: str) -> str:
    """
    Where an image is pulled from, as credentials name it.

    >>> registry("quay.io:5000/team/tool:1.0"), registry("localhost/a"), registry("team/tool")
    ('quay.io:5000', 'localhost', 'https://index.docker.io/v1/')
    """
    first, slash, _ = image.partition("/")
    if not slash or first in HUB_HOSTS or not (first == "localhost" or set(first) & set(".:")):
        return HUB
    return first


def _host(name: str) -> str:
    """Old entries are URLs."""
    host = name.partition("://")[2] or name
    return host.partition("/")[0]


def _of(kept: Mapping[str, V], server: str) -> V | None:
    if server in kept:
        return kept[server]
    return next((one for name, one in kept.items() if _host(name) == _host(server)), None)


def _read(path: Path) -> _File:
    try:
        return msgspec.json.decode(path.read_bytes(), type=_File)
    except FileNotFoundError:
        return _File()
    except (OSError, msgspec.MsgspecError) as error:
        # Not its words, which may repeat what is in the file.
        log.warning("images are pulled without a login: %s: %s", path, type(error).__name__)
        return _File()


def _decoded(kept: _Login, server: str) -> _Login:
    """The file has name and password in one word."""
    if not kept.auth:
        return kept
    with suppress(ValueError):
        user, colon, password = b64decode(kept.auth, validate=True).decode().partition(":")
        if colon:
            password = password.rstrip("\0")
            return msgspec.structs.replace(kept, username=user, password=password)
    log.warning("the login that is kept for %s cannot be read", server)
    return _Login()


async def _ask(helper: str, server: str) -> _Login | None:
    """None where it knows none, or does not answer in time."""
    program = f"docker-credential-{helper}"
    try:
        async with asyncio.timeout(HELPER_SECONDS):
            if not _HELPER.fullmatch(program):
                raise FileNotFoundError
            said = await printed((program, "get"), server.encode())
        helped = msgspec.json.decode(said, type=_Helped)
    except (OSError, ValueError, msgspec.MsgspecError) as error:
        # Not what it said, which may be the secret.
        log.warning("%s has no login for %s: %s", program, server, type(error).__name__)
        return None
    if helped.username == NAMELESS:
        return _Login(identitytoken=helped.secret)
    return _Login(username=helped.username, password=helped.secret)
