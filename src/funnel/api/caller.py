"""Who is asking. Identity comes in here."""

from funnel.api.request import Request
from funnel.core.query import Scope
from funnel.core.value import Value


class Caller(Value, kw_only=True):
    """
    `name` owns what the caller creates; `scope` is whose tasks the caller may see.

    An administrator may also delete tasks.
    """

    name: str
    scope: Scope
    administrator: bool = False


ANYONE = Caller(name="", scope=Scope(owner=None), administrator=True)


def caller(_request: Request) -> Caller:
    """Without accounts everybody is the same; credentials that were sent are ignored."""
    return ANYONE
