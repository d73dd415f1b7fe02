"""What URLs of Swift mean."""

from typing import Final, NamedTuple
from urllib.parse import quote

from funnel.core.error import Invalid, NotFound
from funnel.core.url import redacted
from funnel.storage.swift.plugin import SCHEME

LONGEST_CONTAINER: Final = 256
LONGEST: Final = 1024
"""Bytes of a name, as Swift has it."""
SUFFIX: Final = "_segments"
"""Of the container beside another one, where its large objects have their segments."""


class Place(NamedTuple):
    container: str
    name: str

    @property
    def path(self) -> str:
        return path_of(self.container, self.name)

    @property
    def segments(self) -> str:
        return f"{self.container}{SUFFIX}"


def path_of(container: str, name: str = "") -> str:
    """
    Below the account, encoded.

    >>> path_of("c", "a b/ü?"), path_of("c")
    ('/c/a%20b/%C3%BC%3F', '/c')
    """
    return f"/{quote(container, safe='')}" + (f"/{quote(name)}" if name else "")


def place_of(url: str) -> Place:
    """Raises `Invalid`."""
    container, _, name = url.removeprefix(SCHEME).partition("/")
    if not container:
        raise Invalid(f"{redacted(url)} names no container; write swift://container/object")
    if not {".", ".."}.isdisjoint((container, *name.split("/"))):
        raise Invalid(f"{redacted(url)} has parts that climb: write it without . and ..")
    try:
        longest = len(container.encode()) > LONGEST_CONTAINER or len(name.encode()) > LONGEST
    except UnicodeEncodeError as error:
        raise Invalid(f"{redacted(url)} has a name that is not text") from error
    if longest or "\0" in url:
        raise Invalid(
            f"{redacted(url)}: Swift takes containers of up to {LONGEST_CONTAINER} bytes, and"
            f" names of up to {LONGEST}"
        )
    return Place(container, name)


def named(url: str) -> Place:
    """Of what is to be stored."""
    place = place_of(url)
    if not place.name or place.name.endswith("/"):
        raise Invalid(f"{redacted(url)} names no object; write swift://container/object")
    return place


def existing(url: str) -> Place:
    """No file has the name of a directory."""
    place = place_of(url)
    if not place.name or place.name.endswith("/"):
        raise NotFound(f"{redacted(url)} is no file")
    return place
