"""Which blob a URL means, and in which account it is."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, unquote

from funnel.core.error import Invalid, NotFound
from funnel.core.secret import Secret
from funnel.core.url import redacted
from funnel.storage.azure.settings import SCHEME, AzureAccount

SIGNED: Final = re.compile(
    r"(https://([a-z0-9]{3,24})\.(?:z\d{1,2}\.)?blob\."
    r"(?:core\.(?:windows\.net|chinacloudapi\.cn|usgovcloudapi\.net)|storage\.azure\.net))/"
)
"""What can only be Azure's."""
CONTAINER: Final = re.compile(r"\$root|\$web|\$logs|[a-z0-9](?:-?[a-z0-9]){2,62}")
LONGEST: Final = 1024
"""Characters of a name, as Azure has it."""


class Address(NamedTuple):
    """`signature` is that of the URL itself, without a question mark."""

    account: AzureAccount
    container: str
    name: str
    signature: Secret = Secret()
    known: bool = True
    """Whether the settings name the account."""

    @property
    def path(self) -> str:
        """
        Below the account.

        >>> Address(AzureAccount(), "c", "a b/100%").path
        '/c/a%20b/100%25'
        """
        return f"/{self.container}/{quote(self.name, safe='/-_.~', errors='surrogateescape')}"


def takes(url: str, accounts: Sequence[AzureAccount]) -> bool:
    """
    Signed URLs of any account, and the rest of those in the settings.

    >>> signed = "https://theirs.blob.core.windows.net/c/b?sv=1&sig=x"
    >>> takes(signed, ()), takes(signed.partition("?")[0], ()), takes("az://c/b?sig=x", ())
    (True, False, True)
    """
    if url.startswith(SCHEME):
        return True
    place, asked, query = url.partition("?")
    ours = _ours(place, accounts) is not None
    if not asked:
        return ours
    return _is_signed(query) and (ours or SIGNED.match(place) is not None)


def address(url: str, accounts: Sequence[AzureAccount]) -> Address:
    """Raises `Invalid` for a URL that means nothing."""
    if url.startswith(SCHEME):
        if not accounts:
            raise Invalid(f"{redacted(url)}: AzureStorage.Account is missing")
        return _checked(url, Address(accounts[0], *_parted(url.removeprefix(SCHEME))))
    place, _, query = url.partition("?")
    account, known = _ours(place, accounts), True
    if account is None:
        found = SIGNED.match(place)
        if not found:
            raise Invalid(f"{redacted(url)} is in no account of AzureStorage")
        account, known = AzureAccount(account=found[2], endpoint=found[1]), False
    container, name = _parted(unquote(place.removeprefix(f"{account.root}/")))
    return _checked(url, Address(account, container, name, Secret(query), known))


def named(url: str, found: Address) -> None:
    """Raises `Invalid` for what Azure does not keep as it is."""
    name = found.name
    if not name or name.endswith((".", "/")):
        raise Invalid(
            f"{redacted(url)} has a name that Azure does not keep: an empty one, or one"
            " that ends in a dot or a slash"
        )
    if len(name) > LONGEST:
        raise Invalid(f"{redacted(url)} has a name of more than {LONGEST} characters")


def existing(url: str, found: Address) -> None:
    """No file has the name of a directory."""
    if not found.name or found.name.endswith("/"):
        raise NotFound(f"{redacted(url)} is no file")


def _checked(url: str, found: Address) -> Address:
    if not CONTAINER.fullmatch(found.container):
        raise Invalid(f"{redacted(url)} names no container; write az://container/blob")
    if "\\" in found.name or {".", ".."} & set(found.name.split("/")):
        raise Invalid(
            f"{redacted(url)} has a name that Azure takes for another: with \\, or . or"
            " .. as a part"
        )
    return found


def _parted(rest: str) -> tuple[str, str]:
    container, _, name = rest.partition("/")
    return container, name


def _ours(place: str, accounts: Sequence[AzureAccount]) -> AzureAccount | None:
    return next((one for one in accounts if place.startswith(f"{one.root}/")), None)


def _is_signed(query: str) -> bool:
    return any(name == "sig" for name, _ in parse_qsl(query))
