"""What there is to move."""

import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from funnel.core.error import Denied, Invalid, NotFound
from funnel.ports import Object, Storage


async def files_at(storage: Storage, url: str) -> tuple[Object, Sequence[Object]]:
    """
    What is at the URL, and where it is a directory its files.

    Where the store does not say what it is, it is a file of unknown size.
    """
    try:
        found = await storage.stat(url)
    except (Denied, Invalid):
        # As of an address that was signed for reading alone.
        return Object(url, -1), ()
    if found.size_bytes or found.etag:
        return found, ()
    with suppress(NotFound, Invalid):
        return found, await storage.list_objects(url)
    return found, ()


def files_below(top: Path) -> Iterator[tuple[str, Path]]:
    """Each file of a directory, and of those below, by its name in it; links to files count."""
    for folder, folders, files in os.walk(top, onerror=_raise):
        folders.sort()
        here = Path(folder)
        for one in sorted(here / name for name in files):
            if one.is_file():
                yield _name(one, top), one


def in_directory(url: str, name: str) -> str:
    """The URL, or for one that ends in a slash that of the name in it."""
    return f"{url}{name}" if url.endswith("/") else url


def below(url: str, name: str) -> str:
    return f"{url.rstrip('/')}/{name}"


def last(url: str) -> str:
    """The name of a file without its directory."""
    return url.rstrip("/").rpartition("/")[2]


def _name(path: Path, top: Path) -> str:
    name = str(path.relative_to(top))
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise Invalid(f"the name of {path!r} is not UTF-8; give it another one") from error
    return name


def _raise(error: OSError) -> None:
    raise error
