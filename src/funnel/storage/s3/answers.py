"""What is in the lists of a store."""

from collections.abc import Mapping, Sequence

from funnel.storage.xml import element, name_of, root_of


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


class Page:
    """
    One answer of a list: `said` of the whole, and each of the things of one name in it.

    Raises `Unavailable`, which names the `url`, for what is no such answer.
    """

    def __init__(self, content: bytes, name: str, url: str) -> None:
        root = root_of(content, url, "Result")
        of_name = [name_of(one) == name for one in root]
        self.things: Sequence[Mapping[str, str]] = [
            {name_of(part): part.text or "" for part in one}
            for one, is_meant in zip(root, of_name, strict=True)
            if is_meant
        ]
        self.said: Mapping[str, str] = {
            name_of(one): one.text or ""
            for one, is_meant in zip(root, of_name, strict=True)
            if not is_meant
        }
