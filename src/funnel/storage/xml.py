"""What is in the answers of stores that speak XML."""

import re
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


def root_of(content: bytes, url: str, ending: str) -> Element:
    """
    Of an answer that is a list: its name has this `ending`.

    Raises `Unavailable`, which names the `url`, for what is no such answer.
    """
    what = f"{redacted(url)}: what the store answers is no list"
    try:
        root = _parsed(content)
    except (expat.ExpatError, _Definitions) as error:
        raise Unavailable(f"{what}: {error}") from error
    if not name_of(root).endswith(ending):
        # As of a page to log in to a network, which would be a list of nothing.
        raise Unavailable(f"{what}: it is of {name_of(root)!r}")
    return root


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


def name_of(element: Element) -> str:
    return element.tag.rpartition("}")[2]
