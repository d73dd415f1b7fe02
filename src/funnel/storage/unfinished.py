"""Uploads under another name than their own, until they are whole."""

import asyncio
import hashlib
import logging
import re
import secrets
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from funnel.core.error import FunnelError, NotFound
from funnel.storage.threads import ended

log = logging.getLogger(__name__)

GRACE: Final = 15.0
"""Seconds to take back what was begun."""
_NAME: Final = re.compile(r"\.funnel-[0-9a-f]{16}\.part")


def beside(path: str) -> str:
    """A name in the same directory that nothing has."""
    return f"{path.rpartition('/')[0]}/.funnel-{mark_of(path)}{secrets.token_hex(4)}.part"


def mark_of(path: str) -> str:
    """What all unfinished uploads to a name have in theirs."""
    name = path.rpartition("/")[2].encode(errors="surrogateescape")
    return hashlib.sha256(name).hexdigest()[:8]


def is_unfinished(name: str, mark: str = "") -> bool:
    return _NAME.fullmatch(name) is not None and name.startswith(f".funnel-{mark}")


@asynccontextmanager
async def taken_back(shown: str, remove: Callable[[], Awaitable[object]]) -> AsyncGenerator[None]:
    """
    Where what is done here fails or is cancelled, `remove` what it has begun.

    Who is cancelled, even twice, waits for that.
    """
    try:
        yield
    except BaseException:
        await ended(asyncio.create_task(_removed(shown, remove)))
        raise


async def _removed(shown: str, remove: Callable[[], Awaitable[object]]) -> None:
    try:
        async with asyncio.timeout(GRACE):
            await remove()
    except NotFound:
        log.debug("%s: nothing was begun", shown)
    except (FunnelError, OSError, TimeoutError) as error:
        log.warning("%s: what was begun could not be removed: %s", shown, error)
