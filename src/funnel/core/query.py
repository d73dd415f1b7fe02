"""Which tasks, how much of each, and on whose behalf."""

from enum import StrEnum
from typing import Final

from funnel.core.state import State
from funnel.core.task import Task
from funnel.core.value import Value


class View(StrEnum):
    """TES views: id and state; all but contents and logged text; everything."""

    MINIMAL = "MINIMAL"
    BASIC = "BASIC"
    FULL = "FULL"


class Scope(Value):
    """Whose tasks may be seen; None means everyone's. It has no default, so nobody forgets it."""

    owner: str | None


EVERYONE: Final = Scope(owner=None)
"""For those who run tasks, whoever's they are."""


class Query(Value, kw_only=True):
    """
    What an empty field asks for is everything.

    All `tags` must match, as (key, value) pairs; with an empty value the key need only be
    there (TES 1.1, the truth table of `ListTasks`).
    """

    scope: Scope
    view: View = View.MINIMAL
    state: State | None = None
    name_prefix: str = ""
    tags: tuple[tuple[str, str], ...] = ()
    page_size: int = 256
    page_token: str = ""


class Page(Value):
    """Newest first. The token is empty on the last page."""

    tasks: tuple[Task, ...]
    next_page_token: str = ""


class Listing(Value):
    """
    A page as its readers get it: its tasks in TES JSON, newest first, with commas between.

    The token, empty on the last page, means something to its database only.
    """

    documents: bytes = b""
    next_page_token: str = ""
