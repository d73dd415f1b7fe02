"""What became of many files."""

from collections.abc import Sequence
from typing import Final

from funnel.cli.failure import told
from funnel.cli.screen import Screen
from funnel.cli.storage.shown import print_one
from funnel.core.error import Denied, Exists, FunnelError, NoSpace
from funnel.core.url import redacted
from funnel.ports import Object
from funnel.storage.landing import FULL

BESIDE: Final = 8
"""
Files that fail with none done between, more than are on their way at once: it is no matter of
single files then, and one bad moment is not enough.
"""
FEW: Final = 8
"""Files that are denied before any is done: each further try may lock their user out."""


class Stopped(Exception):
    """What fails now would fail with each of the files that are left."""


class Report:
    """Prints the files that are done, in the order of their numbers, and each failure at once."""

    def __init__(self, screen: Screen, form: str, files: int, abreast: int) -> None:
        self._screen = screen
        self._form = form
        self._files = files
        self._enough = abreast + BESIDE
        self._next = 0
        self._waiting: dict[int, Object | None] = {}
        self._done = 0
        self._failed = 0
        self._in_a_row = 0
        self._why = ""

    def done(self, number: int, found: Object) -> None:
        self._done += 1
        self._in_a_row = 0
        self._take(number, found)

    def failed(self, number: int, urls: Sequence[str], error: FunnelError | OSError) -> None:
        """Of a file that is at one of these URLs in the end. Raises `Stopped`."""
        if self._why:
            # It was on its way with the last one: undone, as those that are broken off now.
            raise Stopped
        self._failed += 1
        # That a name is taken is a matter of this one alone.
        self._in_a_row = 0 if isinstance(error, Exists) else self._in_a_row + 1
        self._take(number, None)
        self._screen.say(f"Error: {_named(urls, told(error))}")
        if isinstance(error, NoSpace) or (isinstance(error, OSError) and error.errno in FULL):
            self._why = "there is no space"
        elif self._in_a_row >= self._most(error):
            self._why = f"{self._in_a_row} in a row"
        if self._why:
            raise Stopped

    def _most(self, error: FunnelError | OSError) -> int:
        """How many in a row are too many."""
        return FEW if isinstance(error, Denied) and not self._done else self._enough

    def rest(self) -> None:
        """Print what is done behind others that are not."""
        for number in sorted(self._waiting):
            self._print(self._waiting.pop(number))

    def end(self) -> None:
        """Raises `FunnelError` if any failed."""
        if not self._failed:
            return
        summary = f"{self._failed} of {self._files} files failed"
        left = self._files - self._done - self._failed
        if self._why and left:
            summary += f" ({self._why}), {left} left undone"
        raise FunnelError(summary)

    def _take(self, number: int, found: Object | None) -> None:
        self._waiting[number] = found
        while self._next in self._waiting:
            self._print(self._waiting.pop(self._next))
            self._next += 1

    def _print(self, found: Object | None) -> None:
        if found:
            self._screen.below("")
            print_one(found, self._form)


def _named(urls: Sequence[str], text: str) -> str:
    """With the URL, where the text has it not."""
    shown = [redacted(one) for one in urls]
    return text if any(one in text for one in shown) else f"{shown[0]}: {text}"
