"""Ending when told to: in peace by the first signal, at once by the second."""

import asyncio
import logging
import signal
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

log = logging.getLogger(__name__)

SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)
LONGEST: Final = 28.0
"""Seconds for a peaceful end. What counts is on disk at any time, so the rest may be cut off."""


@contextmanager
def ended_by_signals(
    then: str = "what runs is left to the next start",
) -> Generator[asyncio.Event]:
    """An event that SIGINT or SIGTERM set. A second signal ends the process, and so does time."""
    loop, asked = asyncio.get_running_loop(), asyncio.Event()

    def end(one: signal.Signals) -> None:
        if asked.is_set():
            _die(one)
        log.info("%s: ending; %s", one.name, then)
        asked.set()
        loop.call_later(LONGEST, _die, one)

    for one in SIGNALS:
        loop.add_signal_handler(one, end, one)
    try:
        yield asked
    finally:
        for one in SIGNALS:
            loop.remove_signal_handler(one)


def _die(of: signal.Signals) -> None:
    signal.signal(of, signal.SIG_DFL)
    signal.raise_signal(of)
