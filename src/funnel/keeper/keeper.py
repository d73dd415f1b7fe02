"""The worker's end: to have a keeper, and to tell it that nothing is left to do."""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

from msgspec import json

from funnel.keeper import waiter
from funnel.keeper.order import Order

log = logging.getLogger(__name__)

FAREWELL: Final = 5.0
"""Seconds for it to end, once it is told."""
PASSED_ON: Final = frozenset(
    {
        *("HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PATH", "TMPDIR", "XDG_RUNTIME_DIR"),
        *("DOCKER_CERT_PATH", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_HOST"),
        *("DOCKER_TLS_VERIFY", "PYTHONHOME", "PYTHONPATH", "SSL_CERT_DIR", "SSL_CERT_FILE"),
    }
)
"""What it takes to find the engine; tokens of a worker and keys of storages stay here."""


@asynccontextmanager
async def kept(order: Order) -> AsyncGenerator[None]:
    """If this process dies in here, or what is done in here fails, the order is carried out."""
    keeper = await asyncio.to_thread(_started, order, os.environ)
    try:
        yield
    except BaseException:
        await asyncio.to_thread(_told, keeper, b"")
        raise
    await asyncio.to_thread(_told, keeper, b".")


def _started(order: Order, environ: Mapping[str, str]) -> "subprocess.Popen[bytes] | None":
    try:
        keeper = subprocess.Popen(  # noqa: S603 - our own file
            [sys.executable, "-I", "-S", str(Path(waiter.__file__))],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            env={name: value for name, value in environ.items() if name in PASSED_ON},
            start_new_session=True,
        )
        if keeper.stdin:
            keeper.stdin.write(json.encode(order) + b"\n")
            keeper.stdin.flush()
    except OSError as error:
        log.warning("a container of a worker that is killed would run on: %s", error.strerror)
        return None
    return keeper


def _told(keeper: "subprocess.Popen[bytes] | None", word: bytes) -> None:
    if keeper and keeper.stdin:
        with suppress(OSError):
            keeper.stdin.write(word)
            keeper.stdin.close()
        if word:
            with suppress(subprocess.TimeoutExpired):
                keeper.wait(FAREWELL)
