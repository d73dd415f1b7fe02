"""Who was refused and who did what only some may do: one line each, for who looks into it later."""

import logging
from typing import Final

from funnel.core.access import Caller, demand_attempt
from funnel.core.error import Denied
from funnel.core.task import TaskId

log = logging.getLogger("funnel.audit")

LONGEST: Final = 200
"""Characters of a value; a caller chooses some of them."""


def audit(what: str, **about: object) -> None:
    """`what` is ours; what it is about may be anybody's, and is quoted where it is not plain."""
    said = "".join(f" {name}={_quoted(str(value))}" for name, value in about.items() if value != "")
    log.info("%s%s", what, said)


def demand_its_attempt(caller: Caller, task_id: TaskId, fence: int | None = None) -> None:
    """As `demand_attempt`, and written down where it is refused."""
    try:
        demand_attempt(caller, task_id, fence)
    except Denied as error:
        audit("refused", kind=caller.kind, let_in_for=caller.task_id, task=task_id, why=error)
        raise


def _quoted(text: str) -> str:
    """
    Nothing in it ends the line, the quotes or the value, or is obeyed by a terminal.

    >>> print(_quoted("ann"), _quoted("ann smith"), _quoted("x\\nfunnel.audit: y"))
    ann 'ann smith' 'x\\nfunnel.audit: y'
    """
    if len(text) > LONGEST:
        text = text[:LONGEST] + "…"
    return text if _is_plain(text) else repr(text)


def _is_plain(text: str) -> bool:
    return text.isascii() and text.isprintable() and not set(text) & set(" '\"=\\")
