"""Passwords: hashes of them for settings files, and whether one that is given is right."""

import asyncio
import hmac
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Final

from argon2 import PasswordHasher, extract_parameters
from argon2.exceptions import Argon2Error, InvalidHash

from funnel.core.error import Busy, Invalid
from funnel.core.reach import near

HASH: Final = "$argon2id$"
AT_ONCE: Final = 2
"""Hashes worked out at the same time; each takes memory (46 MiB) and a processor."""
WAITING: Final = 64
"""Those that may wait for their turn."""
EACH: Final = 16
"""Those of one address, so that who guesses from there keeps nobody else from a turn."""
MEMORY: Final = 1024 * 1024
"""KiB that one hash may take."""


def hashed(password: str) -> str:
    """
    An Argon2id hash with a salt and its parameters, the first of those that OWASP names.

    Raises `Invalid` for an empty password.
    """
    if not password:
        raise Invalid("the password is empty")
    return PasswordHasher(time_cost=1, memory_cost=46 * 1024, parallelism=1).hash(password)


def is_hash(text: str) -> bool:
    return text.startswith(HASH)


def problem_of(text: str) -> str:
    """What is wrong with a hash; empty where nothing is."""
    try:
        parameters = extract_parameters(text)
    except InvalidHash:
        return "is cut off or changed: make it anew with `funnel user hash`"
    if parameters.memory_cost > MEMORY:
        return f"takes {parameters.memory_cost} KiB of memory for each login; {MEMORY} is the most"
    return ""


def matches(known: str, password: str) -> bool:
    """Whether it is the password of a hash; takes as long as the hash was made to take."""
    try:
        return PasswordHasher().verify(known, password)
    except Argon2Error:
        return False


class Passwords:
    """
    What users have to say, as hashes or as plain text.

    A wrong password costs as much for a user who is not there as for one who is: the work of
    the costliest hash there is, or a comparison where there is none. A right one is remembered
    by a digest with a key of this process, so that only the first request waits for the hash.
    """

    def __init__(
        self, known: Mapping[str, str], matches: Callable[[str, str], bool] = matches
    ) -> None:
        self._key = secrets.token_bytes(32)
        self._matches = matches
        self._hashes = {user: text for user, text in known.items() if is_hash(text)}
        self._right = {
            user: self._digest(user, text) for user, text in known.items() if not is_hash(text)
        }
        """Digests of those that were right, or were given as plain text."""
        self._nobody = max(self._hashes.values(), key=_cost, default="")
        self._working: dict[bytes, asyncio.Future[bool]] = {}
        self._places = Counter[str]()
        """How many of them are of one address."""
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def are(self, user: str, password: str, peer: str = "") -> bool:
        """Whether it is the user's. Raises `Busy` where too many wait to be told, or of a peer."""
        digest = self._digest(user, password)
        if hmac.compare_digest(self._right.get(user, b""), digest):
            return True
        if not self._nobody:
            return False
        return await self._found_out(digest, user, password, near(peer))

    async def _found_out(self, digest: bytes, user: str, password: str, place: str) -> bool:
        """Those who say the same at the same time wait for the same answer."""
        if digest not in self._working:
            if len(self._working) >= WAITING or self._places[place] >= EACH:
                raise Busy("too many logins are waiting; try again later")
            working = asyncio.ensure_future(self._hash(digest, user, password))
            self._places[place] += 1
            self._working[digest] = working
            working.add_done_callback(lambda _: self._leave(place))
        return await asyncio.shield(self._working[digest])

    async def _hash(self, digest: bytes, user: str, password: str) -> bool:
        try:
            async with self._turns:
                known = self._hashes.get(user, self._nobody)
                is_right = await asyncio.to_thread(self._matches, known, password)
            if is_right and user in self._hashes:
                self._right[user] = digest
            return is_right and user in self._hashes
        finally:
            del self._working[digest]

    def _leave(self, place: str) -> None:
        self._places[place] -= 1
        if not self._places[place]:
            del self._places[place]

    def _digest(self, user: str, password: str) -> bytes:
        said = f"{len(user)}:{user}:{password}".encode(errors="surrogatepass")
        return hmac.digest(self._key, said, "sha256")


def _cost(known: str) -> int:
    parameters = extract_parameters(known)
    return parameters.memory_cost * parameters.time_cost
