"""Who is told what happens to tasks."""

from collections.abc import Sequence
from typing import Protocol

from funnel.core.message import Numbered


class Sink(Protocol):
    """
    Is told of all events in the order of their commits, and of each at least once.

    A sink connects when it is first told something, so that the server starts without it.
    """

    async def __call__(self, told: Sequence[Numbered], /) -> None:
        """
        Return when all of them are safe on the other side, those of each task in order.

        Raise whatever says that they may not be: they come again, from the first, after a
        pause. `Unavailable`, with its text, is the ordinary way; `OSError` will do. What the
        other side will never take is left out, counted and named in the log, so that it does
        not hold up what follows. Calls never overlap, and may be cancelled.
        """
        ...
