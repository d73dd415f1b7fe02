"""Programs that log in for us, as the settings of the machine name them."""

import asyncio
import os
import signal
from collections.abc import Sequence
from contextlib import suppress


async def printed(words: Sequence[str], told: bytes = b"") -> bytes:
    """
    What it prints, `told` this at its input; no shell reads its words.

    Who no longer waits ends it, with all that it has started. Raises `OSError` where it cannot be
    run: `ChildProcessError` where it fails.
    """
    if not words:
        raise FileNotFoundError
    pipe, null = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    running = await asyncio.create_subprocess_exec(
        *words, stdin=pipe, stdout=pipe, stderr=null, start_new_session=True
    )
    try:
        said, _ = await running.communicate(told)
    finally:
        if running.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)
            await running.wait()
    if running.returncode:
        raise ChildProcessError(running.returncode)
    return said
