"""What is in the lists of a store."""

from funnel.storage.xml import Listing, element, listing


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
    One answer of a list, with the things of one name in it.

    Raises `Unavailable`, which names the `url`, for what is no such answer.
    """
    return listing(content, url, "Result", name)
