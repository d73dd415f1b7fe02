"""Who comes to a store: keys of the settings, or what the environment of this process offers."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeAlias

from funnel.core.error import Denied, Invalid, Unavailable
from funnel.core.secret import Secret
from funnel.ports import Clock
from funnel.storage.s3.sign import Keys
from funnel.storage.turns import Turns

log = logging.getLogger(__name__)

Source: TypeAlias = Callable[[], Awaitable[Keys | None]]
"""Says None where it knows nothing. Raises `Unavailable` where it should, and cannot say now."""

EARLY: Final = timedelta(minutes=5)
"""Before their end, new keys are asked for."""
SOON: Final = timedelta(seconds=10)
"""Until new keys are asked for again, where there are only such that end soon."""
AGAIN: Final = timedelta(minutes=1)
"""Until what found nothing is asked again."""


class Credentials:
    """The first of the sources that knows who comes; kept as long as it holds."""

    def __init__(self, sources: Sequence[Source], now: Clock) -> None:
        self._sources = sources
        self._now = now
        self._turns = Turns()
        self._keys: Keys | None = None
        self._had_some = False
        self._fresh_until = now()

    async def current(self) -> Keys | None:
        """None: nobody, so requests are not signed."""
        if self._now() >= self._fresh_until:
            async with self._turns.turn():
                if self._now() >= self._fresh_until:
                    await self._ask()
        return self._keys

    def forget(self, keys: Keys | None) -> None:
        """These are refused: ask anew, where nobody has done so since."""
        if keys is self._keys:
            self._keys = None
            self._fresh_until = self._now()

    async def _ask(self) -> None:
        try:
            self._keys = await self._found()
        except (Denied, Unavailable) as error:
            if not self._holds():
                raise
            log.warning("the credentials that there are serve on: %s", error)
            self._fresh_until = self._now() + SOON
            return
        now = self._now()
        if not self._keys:
            self._fresh_until = now + AGAIN
        elif self._keys.until:
            # Keys that are about to end are the best there are.
            self._fresh_until = max(self._keys.until - EARLY, now + SOON)
        else:
            self._fresh_until = now + timedelta(days=1)

    async def _found(self) -> Keys | None:
        for source in self._sources:
            if keys := await source():
                self._had_some = True
                return keys
        if self._had_some:
            # As of a machine that is too busy to answer.
            raise Unavailable("no credentials are offered, where there were some before")
        return None

    def _holds(self) -> bool:
        return bool(self._keys and self._keys.until and self._now() < self._keys.until)


def written(key: str, secret: Secret, file: str, where: str) -> Source:
    """Of the settings: `file` has the secret where it is not given."""

    async def read() -> Keys | None:
        if not key:
            return None
        found = secret or await asyncio.to_thread(_secret_in, file, where)
        return Keys(key, found)

    return read


def _secret_in(file: str, where: str) -> Secret:
    if not file:
        raise Invalid(f"{where}.Secret is missing: {where}.Key needs its secret")
    try:
        return Secret(Path(file).read_text(encoding="utf-8").strip())
    except (OSError, UnicodeDecodeError) as error:
        raise Invalid(f"{where}.SecretFile cannot be read: {error}") from error
