"""What an answer of Azure's that is no success means."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from funnel.core.error import Denied, Exists, FunnelError, Invalid, NoSpace, NotFound, Unavailable
from funnel.storage.patience import Changed
from funnel.storage.web import Answer, retry_after
from funnel.storage.xml import element

TEXT: Final = 300
"""Characters that are quoted of what Azure says."""
BEGINNING: Final = 64 * 1024
CODES: Final[Mapping[str, type[FunnelError]]] = {
    "PublicAccessNotPermitted": Denied,
    "ContainerBeingDeleted": Unavailable,
    "Md5Mismatch": Unavailable,
    # Somebody else has stored something under this name meanwhile, which drops all blocks.
    "InvalidBlockList": Unavailable,
    # There is no other condition.
    "BlobAlreadyExists": Exists,
    "ConditionNotMet": Exists,
}
STATUSES: Final[Mapping[int, type[FunnelError]]] = {
    401: Denied,
    403: Denied,
    404: NotFound,
    408: Unavailable,
    416: Changed,
    429: Unavailable,
    501: Invalid,
    505: Invalid,
    507: NoSpace,
}
RENEWABLE: Final = frozenset(
    {"AuthenticationFailed", "AuthorizationFailure"}
    | {"ExpiredAuthenticationToken", "InvalidAuthenticationInfo"}
)
"""Another signature or token may help, if there is one."""


class Refusal(NamedTuple):
    """`code` and `message` are Azure's own; empty where it says none."""

    status: int
    code: str = ""
    message: str = ""
    retry_after: float = 0.0

    @property
    def is_renewable(self) -> bool:
        return self.status == 401 or self.code in RENEWABLE


async def refusal_of(answer: Answer) -> Refusal:
    """The rest of what it says may repeat what was sent, and is not read."""
    body = (await answer.content.read(BEGINNING)).decode(errors="replace")
    code = answer.headers.get("x-ms-error-code", "") or element("Code", body)
    message = element("Message", body).partition("\n")[0][:TEXT]
    return Refusal(answer.status, code, message, retry_after(answer.headers))


def failure(deed: str, refusal: Refusal, check: str, *, anonymous: bool) -> FunnelError:
    """
    To be raised; the `deed` is as in "az://c/b: reading failed".

    `check` says what to look at. Who is nobody is told that things are not there that are.

    >>> error = failure("az://c/b: reading failed", Refusal(503, "ServerBusy"), "", anonymous=False)
    >>> type(error).__name__, str(error)
    ('Unavailable', 'az://c/b: reading failed: 503 ServerBusy')
    """
    passing = Unavailable if refusal.status >= 500 else Invalid
    kind = CODES.get(refusal.code) or STATUSES.get(refusal.status, passing)
    reason = " ".join(filter(None, (str(refusal.status), refusal.code)))
    what = ": ".join(filter(None, (deed, reason, refusal.message)))
    if kind is Denied or (anonymous and kind is NotFound):
        what += f"; {check}"
    error = kind(what)
    error.retry_after = refusal.retry_after
    return error
