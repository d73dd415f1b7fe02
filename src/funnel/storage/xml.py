"""What is in the answers of stores that speak XML."""

import re
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Final, NamedTuple
from xml.parsers import expat

from funnel.core.error import Unavailable
from funnel.core.url import redacted

TOP: Final = 2
"""Elements above one that is said of the whole, fewer than this."""


class Unreadable(Unavailable):
    """What came may be cut off, or the page of a network to log in to, or have names as no XML."""


class Listing(NamedTuple):
    """
    An answer that is a list: `said` of the whole, and of each of its things, by element.

    What is within the one part that was asked for is told as if it were of the thing itself, and an
    attribute as element@attribute. What is deeper, as the names that users give, is not told.
    """

    said: Mapping[str, str]
    things: Sequence[Mapping[str, str]]


def element(name: str, text: str) -> str:
    """
    What is in the first element of this name; empty for none.

    >>> element("Code", "<Error><Code>SlowDown</Code></Error>")
    'SlowDown'
    >>> element("a", "<a>b &lt;&#233;&gt;</a>"), element("a", "<a>b &nbsp; c</a>")
    ('b <é>', 'b &nbsp; c')
    """
    found = re.search(rf"<{name}>([^<]*)</{name}>", text)
    return _plain(found.group(1)).strip() if found else ""


def listing(content: bytes, url: str, ending: str, thing: str, part: str = "") -> Listing:
    """
    Of a list whose name has this `ending`, and of all that is called like the `thing` in it.

    Of a thing what is in it is told, and what is in that `part` of it.

    Raises `Unreadable`, which names the `url`, for what is no such answer.
    """
    what = f"{redacted(url)}: what the store answers is no list"
    try:
        root, found = _parsed(content, thing, part)
    except (expat.ExpatError, _Definitions) as error:
        raise Unreadable(f"{what}: {error}") from error
    if not root.endswith(ending):
        # As of a page to log in to a network, which would be a list of nothing.
        raise Unreadable(f"{what}: it is of {root!r}")
    return found


class _Definitions(ValueError):
    """They could make much of little."""


class _Names(dict[str, str]):
    """Those of elements without their namespaces."""

    def __missing__(self, tag: str) -> str:
        self[tag] = name = tag.rpartition("}")[2]
        return name


def _parsed(content: bytes, thing: str, part: str = "") -> tuple[str, Listing]:
    """The name of the root, and what is in it."""
    said, things, names = dict[str, str](), list[dict[str, str]](), _Names()
    row, pieces, name = said, list[str](), ""
    above, told = list[str](), {thing, part}

    # There are a dozen calls for each of a million names: so they have no object between them.
    def start(tag: str, attributes: Mapping[str, str]) -> None:
        nonlocal row
        pieces.clear()
        if names[tag] == thing:
            row = {}
        elif attributes and (len(above) < TOP or above[-1] in told):
            row.update({f"{names[tag]}@{key}": value for key, value in attributes.items()})
        above.append(names[tag])

    def end(_tag: str) -> None:
        nonlocal row, name
        name = above.pop()
        if name == thing:
            things.append(row)
            row = said
        elif len(above) < TOP or above[-1] in told:
            row[name] = "".join(pieces)
        pieces.clear()

    parser = expat.ParserCreate(namespace_separator="}")
    parser.buffer_text = True
    parser.StartElementHandler = start
    parser.EndElementHandler = end
    parser.CharacterDataHandler = pieces.append
    parser.StartDoctypeDeclHandler = _refuse
    parser.ParseFile(BytesIO(content))
    return name, Listing(said, things)


def _refuse(*_: object) -> None:
    raise _Definitions("it has definitions")


def _plain(text: str) -> str:
    """Without references to characters; as it is, where it has such as XML does not know."""
    if "&" not in text:
        return text
    try:
        return _parsed(f"<a>{text}</a>".encode(), "")[1].said["a"]
    except expat.ExpatError:
        return text
