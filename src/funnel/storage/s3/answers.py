"""What is in the lists of a store."""

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote_plus

from funnel.storage.xml import Listing, element, listing

QUOTED_NAMES: Final[Mapping[str, str]] = {"encoding-type": "url"}
"""Of a list, for names quoted as in a form: XML has no way to write most control characters."""
QUOTED: Final = ("Key", "NextKeyMarker")
"""What we read of a list that has names in it; tokens and numbers of uploads are not quoted."""

QUOTE: Final = re.compile("[!-~]*")


def following(page: bytes) -> str:
    """
    The token of the page after one of a list, before that is read; empty for none.

    >>> token = b"<NextContinuationToken>a&amp;b</NextContinuationToken>"
    >>> following(b"<IsTruncated>true</IsTruncated>" + token), following(token)
    ('a&b', '')
    """
    text = page.decode(errors="replace")
    if element("IsTruncated", text) != "true":
        return ""
    return element("NextContinuationToken", text)


def page_of(content: bytes, name: str, url: str) -> Listing:
    """
    One answer of a list, with the things of one name in it, and their names as they are.

    A store that does not know how to quote says so by silence, mostly. Raises `Unreadable`, which
    names the `url`, for what is no such answer.
    """
    found = listing(content, url, "Result", name)
    # Mostly no name is other than as it is quoted, and of a million that is soon seen.
    if found.said.get("EncodingType") != "url" or not (b"%" in content or b"+" in content):
        return found
    if not _all_quoted(found):
        return found
    return Listing(_plain(found.said), [_plain(one) for one in found.things])


def _all_quoted(found: Listing) -> bool:
    """SeaweedFS says of uploads that it quotes their names, and does not."""
    return all(QUOTE.fullmatch(one.get("Key", "")) for one in found.things)


def _plain(row: Mapping[str, str]) -> Mapping[str, str]:
    """
    Without the quotes.

    >>> _plain({"Key": "a+b%2B%01", "UploadId": "c+%01"})
    {'Key': 'a b+\\x01', 'UploadId': 'c+%01'}
    """
    names = (one for one in QUOTED if one in row)
    return {**row, **{one: unquote_plus(row[one], errors="surrogateescape") for one in names}}
