"""Where inputs come from and outputs go to."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Final, Protocol, TypeAlias, runtime_checkable

from funnel.core.error import Invalid
from funnel.core.path import Parts, parts
from funnel.core.url import redacted
from funnel.core.value import Value

LONGEST: Final = 4096
"""Bytes of a path, with its end, on this machine."""


class Object(Value):
    """
    A file or object. `url` has the form that was asked for; `name` is relative in a list.

    `checksums` are hexadecimal and of the whole content, by their name in `hashlib`; `version` is
    what the store itself calls this very one by.
    """

    url: str
    size_bytes: int
    name: str = ""
    etag: str = ""
    last_modified: datetime | None = None
    checksums: Mapping[str, str] = {}
    version: str = ""

    def below(self) -> Parts:
        """Where its name leads in its directory; it may try to climb, and raises `Invalid` then."""
        found = parts(self.name)
        if not found or ".." in found or not _may_be_a_name(self.name):
            raise Invalid(
                f"{redacted(self.url)} has a name that does not lie in its directory: {self.name!r}"
            )
        return found


def refuse_twins(found: Sequence[Object]) -> None:
    """
    Of a list, before its files are brought: none may replace another without a word.

    Raises `Invalid` where two names lead to one place, as `a//b` and `a/b` do, or climb.
    """
    odd = {one.below() for one in found if not _is_plain(one.name)}
    seen = set[Parts]()
    for one in found if odd else ():
        place = one.below()
        if place in seen:
            raise Invalid(
                f"{redacted(one.url)} and another one would both be {'/'.join(place)}; name each by"
                " itself"
            )
        if place in odd:
            seen.add(place)


def _is_plain(name: str) -> bool:
    padded = f"/{name}/"
    return "//" not in padded and "/./" not in padded


def _may_be_a_name(text: str) -> bool:
    try:
        encoded = text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return False
    return b"\0" not in encoded and len(encoded) < LONGEST


class Share(Protocol):
    """What one task may take of the connections and the memory of this machine."""

    def moved(self, count: int) -> None:
        """Say that so many bytes more have come or gone."""
        ...

    def place(self, memory: int) -> AbstractAsyncContextManager[None]:
        """Wait for a connection, and for so many bytes to hold meanwhile."""
        ...

    def spare(self, most: int, memory: int) -> AbstractAsyncContextManager[int]:
        """Take up to `most` further ones, of so many bytes each, as far as nobody waits."""
        ...


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
    call leaves no partial file under the final name. Without a `share` there is no limit.
    """

    def takes(self, url: str) -> bool:
        """Decide by the scheme and host alone; nothing outside is asked."""
        ...

    async def stat(self, url: str) -> Object:
        """A directory has no size and no tag."""
        ...

    async def list_objects(self, url: str) -> Sequence[Object]:
        """
        All files below, recursively, sorted by name.

        What is not there raises `NotFound` where there are directories; where there are only
        names, as in an object store, it is an empty list.
        """
        ...

    async def get(self, url: str, to: Path, share: Share | None = None) -> Object:
        """
        Bring a file; whole under its final name, or not at all. Replaces what is there.

        Of a directory all files come, each by itself.
        """
        ...

    async def put(
        self, source: IO[bytes], url: str, share: Share | None = None, *, overwrite: bool = True
    ) -> Object:
        """
        Store what is left to read of an open file, in place of what is there.

        Without `overwrite` only where nothing is: raises `Exists`, and `Invalid` for a store that
        cannot tell. Whole under its final name, or not at all. The answer has the final URL and
        the size.
        """
        ...


class Storage(Places, Transfer, Protocol):
    """Where inputs come from and outputs go to."""


Piece: TypeAlias = bytes | memoryview
"""Of a file. Nobody writes to it any more."""


class Reading(Value, kw_only=True):
    """
    An answer with content: `pieces` of the file, the first of which begins at `start`.

    That is 0 where the store cannot begin elsewhere. `found.size_bytes` is that of the whole
    file, or -1 where the store does not say.
    """

    found: Object
    start: int
    pieces: AsyncIterator[Piece]
    ranged: bool = True
    """Whether several may read parts of it at once."""


class Content(Protocol):
    """
    What is to be stored. Each reading begins with the first byte.

    Raises `Unavailable` where the file cannot be read a second time.
    """

    @property
    def size(self) -> int:
        """Bytes; -1 where nobody knows."""
        ...

    @property
    def abreast(self) -> int:
        """Parts that may be on their way at once, of `remote.PART` bytes at most."""
        ...

    def pieces(self, size: int) -> AsyncIterator[Piece]:
        """Of so many bytes each, but for the last; nothing for an empty file."""
        ...

    async def whole(self) -> Piece:
        """All of it, for what is small."""
        ...

    def hash_with_md5(self) -> None:
        """Have the MD5 of what is read compared with that in the answer of the store."""
        ...

    @property
    def md5(self) -> str:
        """Of what has been read this time, hexadecimal; nothing where it is not hashed."""
        ...


class Store(Protocol):
    """
    One family of remote stores: each call is one try, and moves bytes.

    What is the same for all of them is done around it by `storage.remote.RemoteStorage`: tries
    and pauses, going on where a download broke off, temporary names, checks of sizes and sums,
    directories, parts in parallel. Raises as `Transfer` does; `Unavailable` is what may pass,
    with the seconds that the store asks for in `retry_after`.
    """

    def takes(self, url: str) -> bool: ...

    async def stat(self, url: str) -> Object:
        """The object of exactly this name."""
        ...

    def list_objects(self, url: str) -> AsyncIterator[Object]:
        """
        All whose names lie below the URL, which ends in a slash, in any order; page by page.

        Of each the `name` below it, the size, and what else a listing says.
        """
        ...

    def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AbstractAsyncContextManager[Reading]:
        """
        Bytes from `start` to before `end`, or to the last one.

        Where there is an `etag` and the object has another by now, the answer may be of the
        new one, which its `found` says.
        """
        ...

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        """
        Whole or not at all; what was begun is taken back where it fails.

        Without `overwrite` the store itself makes sure that it replaces nothing, though others
        write at the same time: raises `Exists`, or `Invalid` where it cannot.
        """
        ...


@runtime_checkable
class Sweeper(Protocol):
    """A store or storage where a program that is killed leaves what nobody sees."""

    async def sweep(self, url: str, age: timedelta) -> int:
        """
        Remove parts of uploads that began this long ago and have not come to an end.

        Those to this name; to all names below, for one that ends in a slash. How many they were.
        """
        ...


@runtime_checkable
class Remover(Protocol):
    """A store that may answer that it has stored something else than was sent."""

    async def remove(self, stored: Object) -> None:
        """Remove what `write` has answered, and nothing that is under its name since."""
        ...
