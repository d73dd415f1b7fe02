"""Where inputs come from and outputs go to."""

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import IO, Protocol

from funnel.core.value import Value


class Object(Value):
    """A file or object. `url` has the form that was asked for; `name` is relative in a list."""

    url: str
    size_bytes: int
    name: str = ""
    etag: str = ""
    last_modified: datetime | None = None


class Places(Protocol):
    """Files that are on this machine already."""

    def in_place(self, url: str) -> Path | None:
        """
        Where the file or directory of a URL is, links resolved; None when it must be got.

        Blocks. Raises `NotFound`, `Denied` or `Invalid`, as `Transfer` does.
        """
        ...

    def shared(self, url: str) -> bool:
        """Whether a directory that is in place is there for tasks to write to. Blocks."""
        ...

    def roots(self) -> tuple[str, ...]:
        """URLs below which tasks may write in place; clients find them in service-info."""
        ...


class Transfer(Protocol):
    """
    Files at URLs. Safe to use from many tasks at once.

    Raises `NotFound`, `Denied`, `Invalid` for a URL it cannot read, `Unavailable` when the
    store does not answer; texts name the URL without its secrets. A cancelled or failed
    call leaves no partial file under the final name.
    """

    def takes(self, url: str) -> bool:
        """Decide by the scheme and host alone; nothing outside is asked."""
        ...

    async def stat(self, url: str) -> Object: ...

    async def list_objects(self, url: str) -> Sequence[Object]:
        """
        All files below, recursively, sorted by name.

        What is not there raises `NotFound` where there are directories; where there are only
        names, as in an object store, it is an empty list.
        """
        ...

    async def get(self, url: str, to: Path) -> Object:
        """Bring a file; whole under its final name, or not at all. Replaces what is there."""
        ...

    async def put(self, source: IO[bytes], url: str) -> Object:
        """
        Store what is left to read of an open file, in place of what is there.

        Whole under its final name, or not at all. The answer has the final URL and the size.
        """
        ...


class Storage(Places, Transfer, Protocol):
    """Where inputs come from and outputs go to."""
