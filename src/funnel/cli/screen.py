"""Output as it comes, and below it one line that says how far things are."""

import re
import sys
from typing import Final, TextIO

from funnel.cli import output
from funnel.client.tail import Piece
from funnel.core.container import Stream

CLEAR: Final = "\r\x1b[K"
LOST: Final = "[some output is missing here: it came faster than it is kept]\n"

_COLOUR: Final = re.compile(r"\x1b\[[0-9;]*m")
_CONTROL: Final = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]"
)


def harmless(text: str) -> str:
    r"""
    The text without what a terminal would obey; ends of lines and tabs stay.

    >>> harmless("a\x1b[31mred\x1b[0m\x1b]0;title\x07\n")
    'ared�]0;title�\n'
    """
    return _CONTROL.sub("\N{REPLACEMENT CHARACTER}", _COLOUR.sub("", text))


class Screen:
    """
    Prints pieces of output; errors of a task go to `err`, all else to `out`.

    At a terminal they are made harmless; elsewhere they are as the task wrote them.

    The line below is shown at a terminal only, and not while a line of output is unfinished.
    """

    def __init__(self, out: TextIO, err: TextIO) -> None:
        self._out = out
        self._err = err
        self._below = ""
        self._unfinished = False

    def print(self, piece: Piece) -> None:
        self.below("")
        to = self._err if piece.stream is Stream.STDERR else self._out
        if piece.lost:
            self._err.write(LOST)
        to.write(harmless(piece.text) if to.isatty() else piece.text)
        to.flush()
        self._unfinished = not piece.text.endswith("\n")

    def say(self, text: str) -> None:
        """A line of our own, to `err`."""
        self.below("")
        self._err.write(f"{output.harmless(text)}\n")
        self._err.flush()

    def below(self, text: str) -> None:
        """Say how far things are; with no text, take the line away."""
        if text == self._below or self._unfinished or not self._err.isatty():
            return
        self._err.write(CLEAR + text)
        self._err.flush()
        self._below = text

    def end(self) -> None:
        """Leave the cursor at the beginning of a line."""
        self.below("")
        if self._unfinished and self._err.isatty():
            self._err.write("\n")
        self._unfinished = False


def screen_below_ids() -> Screen:
    """
    For output that comes after ids.

    Where standard output is not a terminal, a program may be reading the ids there; people
    then find what tasks print at standard error.
    """
    return Screen(sys.stdout if sys.stdout.isatty() else sys.stderr, sys.stderr)
