"""What a failure that the library tells means."""

import re
from collections.abc import Mapping
from typing import Final

from funnel.core.error import Denied, Exists, FunnelError, Invalid, NoSpace, NotFound, Unavailable
from funnel.core.url import redacted
from funnel.storage.azure.plugin import AzureAccount
from funnel.storage.patience import Changed

STATUS: Final = re.compile(r"status code: (\d{3})")
CODE: Final = re.compile(r"<Code>(\w{1,80})</Code>")
MESSAGE: Final = re.compile(r"<Message>([^<\n]{1,300})")
KINDS: Final[Mapping[int, type[FunnelError]]] = {
    401: Denied,
    403: Denied,
    404: NotFound,
    416: Changed,
    507: NoSpace,
}
PASSING: Final = frozenset({408, 409, 412, 429})
TAKEN: Final = "BlobAlreadyExists"
OURS: Final = ("Could not parse path", "Invalid Access Key", "Missing component in SAS")


def failure(url: str, deed: str, text: str, account: AzureAccount) -> FunnelError:
    """
    The error for it. The library tells all as text, of which only the store's own is shown.

    >>> text = "Server returned non-2xx status code: 503 Busy: <Code>ServerBusy</Code>"
    >>> error = failure("az://a/b", "reading", text, AzureAccount(account="x"))
    >>> type(error).__name__, str(error)
    ('Unavailable', 'az://a/b: reading failed: 503 ServerBusy')
    """
    found = STATUS.search(text)
    status = int(found[1]) if found else 0
    words = [str(status)] if status else []
    words += [one[1] for one in (CODE.search(text), MESSAGE.search(text)) if one]
    what = f"{redacted(url)}: {deed} failed: {' '.join(words) or _of_ours(text) or 'no answer'}"
    kind = Exists if TAKEN in words else KINDS.get(status)
    if kind is None:
        passing = status in PASSING or status >= 500 or not (status or _of_ours(text))
        kind = Unavailable if passing else Invalid
    if kind is Denied or not (status or kind is Invalid):
        what += f"; {_check(account)}"
    return kind(what)


def _of_ours(text: str) -> str:
    known = next((one for one in OURS if one in text), "")
    return known.lower()


def _check(account: AzureAccount) -> str:
    name = f"account {account.account} in AzureStorage"
    if account.anonymous:
        return f"nobody is logged in: {name} is Anonymous"
    if account.key:
        return f"check Key of {name}"
    if account.sas_token:
        return f"check what SASToken of {name} allows, and until when"
    return f"check Endpoint of {name}, and the identity of this machine: there is no Key of it"
