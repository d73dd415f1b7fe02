"""What is in the XML of a store's answers."""

import re
from collections.abc import Mapping, Sequence
from html import unescape
from io import BytesIO
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from funnel.core.error import Unavailable
from funnel.core.url import redacted


def element(name: str, text: str) -> str:
    """
    What is in the first element of this name; empty for none.

    >>> element("Code", "<Error><Code>SlowDown</Code></Error>")
    'SlowDown'
    """
    found = re.search(rf"<{name}>([^<]*)</{name}>", text)
    return unescape(found.group(1)).strip() if found else ""


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
        what = f"{redacted(url)}: what the store answers is no list"
        try:
            root = _parsed(content)
        except (expat.ExpatError, _Definitions) as error:
            raise Unavailable(f"{what}: {error}") from error
        if not _name(root).endswith("Result"):
            # As of a page to log in to a network, which would be a list of nothing.
            raise Unavailable(f"{what}: it is of {_name(root)!r}")
        of_name = [_name(one) == name for one in root]
        self.things: Sequence[Mapping[str, str]] = [
            {_name(part): part.text or "" for part in one}
            for one, is_meant in zip(root, of_name, strict=True)
            if is_meant
        ]
        self.said: Mapping[str, str] = {
            _name(one): one.text or ""
            for one, is_meant in zip(root, of_name, strict=True)
            if not is_meant
        }


class _Definitions(ValueError):
    """They could make much of little."""


def _parsed(content: bytes) -> Element:
    builder, parser = TreeBuilder(), expat.ParserCreate(namespace_separator="}")
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    parser.StartDoctypeDeclHandler = _refuse
    parser.ParseFile(BytesIO(content))
    return builder.close()


def _refuse(*_: object) -> None:
    raise _Definitions("it has definitions")


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2]
