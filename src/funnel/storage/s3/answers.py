"""What is in the XML of a store's answers."""

import re
from collections.abc import Mapping, Sequence
from html import unescape
from io import BytesIO
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


class Page:
    """
    One answer of a list: `said` of the whole, and each of the things of one name in it.

    Raises `Unavailable`, which names the `url`, for what is no such answer.
    """

    def __init__(self, content: bytes, name: str, url: str) -> None:
        self.said: Mapping[str, str]
        self.things: Sequence[Mapping[str, str]]
        self._name = name
        self._what = f"{redacted(url)}: what the store answers is no list"
        self._said: dict[str, str] = {}
        self._things: list[dict[str, str]] = []
        self._above: list[str] = []
        self._text: list[str] = []
        parser = expat.ParserCreate(namespace_separator="}")
        parser.StartElementHandler = self._begin
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text.append
        # Definitions could make much of little.
        parser.StartDoctypeDeclHandler = self._refuse
        try:
            parser.ParseFile(BytesIO(content))
        except expat.ExpatError as error:
            raise Unavailable(f"{self._what}: {error}") from error
        self.said, self.things = self._said, self._things

    def _begin(self, tag: str, attributes: Mapping[str, str]) -> None:
        del attributes
        self._above.append(tag.rpartition("}")[2])
        if not self._above[0].endswith("Result"):
            # As of a page to log in to a network, which would be a list of nothing.
            raise Unavailable(f"{self._what}: it is of {self._above[0]!r}")
        self._text.clear()
        if len(self._above) == 2 and self._above[1] == self._name:
            self._things.append({})

    def _end(self, tag: str) -> None:
        del tag
        match self._above:
            case [_, name] if name != self._name:
                self._said[name] = "".join(self._text)
            case [_, self._name, name]:
                self._things[-1][name] = "".join(self._text)
            case _:
                pass
        self._above.pop()
        self._text.clear()

    def _refuse(self, *_: object) -> None:
        raise Unavailable(f"{self._what}: it has definitions")
