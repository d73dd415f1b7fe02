"""What there is to move."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from funnel.core.error import Denied, Invalid, NotFound
from funnel.ports import Object, Storage, refuse_twins


async def files_at(storage: Storage, url: str) -> tuple[Object, Sequence[Object]]:
    """
    What is at the URL, and where it is a directory its files, each of another place below.

    Where the store does not say what it is, it is a file of unknown size.
    """
    try:
        found = await storage.stat(url)
    except (Denied, Invalid):
        # As of an address that was signed for reading alone.
        return Object(url, -1), ()
    if found.size_bytes or found.etag:
        return found, ()
    files: Sequence[Object] = ()
    with suppress(NotFound, Invalid):
        files = await storage.list_objects(url)
    refuse_twins(files)
    return found, files


def files_below(top: Path) -> Iterator[tuple[str, Path]]:
    """
    Each file of a directory, and of those below, by its name in it; links are followed.

    Raises `Invalid` for links that lead back or to nothing, and for what is neither file nor
    directory: nothing is left out without a word.
    """
    waiting: deque[tuple[Path, str, tuple[Path, ...]]] = deque([(top, "", (top.resolve(),))])
    while waiting:
        folder, above, outer = waiting.popleft()
        for entry in sorted(os.scandir(folder), key=lambda one: one.name):
            one, name = folder / entry.name, f"{above}{entry.name}"
            if entry.is_file():
                yield _sayable(name, one), one
            elif entry.is_dir():
                waiting.append((one, f"{name}/", (*outer, _deeper(one, outer))))
            else:
                raise Invalid(
                    f"{one} is neither a file nor a directory, nor a link to one; put the others"
                    " without it"
                )


def in_directory(url: str, name: str) -> str:
    """The URL, or for one that ends in a slash that of the name in it."""
    return f"{url}{name}" if url.endswith("/") else url


def below(url: str, name: str) -> str:
    return f"{url.rstrip('/')}/{name}"


def last(url: str) -> str:
    """The name of a file without its directory."""
    return url.rstrip("/").rpartition("/")[2]


def _deeper(folder: Path, outer: Sequence[Path]) -> Path:
    real = folder.resolve()
    if real in outer:
        raise Invalid(f"{folder} is a link that leads back to {real}")
    return real


def _sayable(name: str, path: Path) -> str:
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise Invalid(f"the name of {str(path)!r} is not UTF-8; give it another one") from error
    return name
