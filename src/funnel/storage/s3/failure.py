"""What an answer of a store that is no success means."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from funnel.core.error import Denied, Exists, FunnelError, Invalid, NoSpace, NotFound, Unavailable
from funnel.storage.patience import Changed
from funnel.storage.xml import element

EXPIRED: Final = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
FULL: Final = frozenset(
    {"XMinioStorageFull", "QuotaExceeded", "InsufficientStorage", "InsufficientCapacity"}
)
PASSING: Final = frozenset(
    {"RequestTimeout", "SlowDown", "InternalError", "ServiceUnavailable", "OperationAborted"}
    | {"BadDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "IncompleteBody"}
    | {"ConditionalRequestConflict"}
)
PASSING_STATUS: Final = frozenset({408, 416, 425, 429})
WRONG: Final[Mapping[str, str]] = {
    "SignatureDoesNotMatch": "check the secret",
    "InvalidAccessKeyId": "check the key",
    "RequestTimeTooSkewed": "the clock of this machine is wrong",
    "AuthorizationHeaderMalformed": "check the region",
}
ELSEWHERE: Final = frozenset({301, 302, 307, 308})
TEXT: Final = 300
"""Characters that are quoted of what a store says."""


class Expired(Unavailable):
    """The credentials have expired; there may be new ones."""


class Refusal(NamedTuple):
    """`code` and `message` are the store's own; empty where it says none, as with HEAD."""

    status: int
    code: str = ""
    message: str = ""
    retry_after: float = 0.0


def answer_of(status: int, body: str, retry_after: float = 0.0) -> Refusal:
    return Refusal(status, element("Code", body), element("Message", body)[:TEXT], retry_after)


def failure(deed: str, answer: Refusal, settings: str, *, anonymous: bool) -> FunnelError:
    """
    The error for it; `deed` is what was tried, as in "s3://a/b: reading failed".

    `settings` names the section that says who comes.
    """
    what = f"{deed}: {_reason(answer)}"
    if answer.code in EXPIRED:
        return Expired(f"{what}; the credentials have expired")
    if answer.code in FULL or answer.status == 507:
        return NoSpace(what)
    if answer.status == 412 or answer.code == "PreconditionFailed":
        return Exists(f"{what}; there is something already")
    if answer.status in {401, 403} or answer.code in WRONG:
        return Denied(f"{what}; {_who(answer.code, settings, anonymous=anonymous)}")
    if answer.status in ELSEWHERE:
        what += f"; the bucket is elsewhere: check region and endpoint in {settings}"
    if answer.code in PASSING or answer.status in PASSING_STATUS or answer.status >= 500:
        error = Changed(what) if answer.status == 416 else Unavailable(what)
        error.retry_after = answer.retry_after
        return error
    return NotFound(what) if answer.status == 404 else Invalid(what)


def _who(code: str, settings: str, *, anonymous: bool) -> str:
    if anonymous:
        return (
            f"no credentials were found: give some in {settings}, or where its documentation says"
        )
    return f"{WRONG.get(code, 'check what these credentials may do')} ({settings})"


def _reason(answer: Refusal) -> str:
    words = ": ".join(filter(None, (answer.code, answer.message)))
    return words or f"the store answers {answer.status}"
