"""
Files that a container may have touched, looked at in the container's view.

A link is followed as the container would follow it: its target is a container path, and what
is not in the task's own tree does not exist. So whatever a container plants, and whenever it
swaps it, nothing outside the tree is opened.
"""

import errno
import os
import stat
from collections import defaultdict, deque
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import IO, Final, NamedTuple

from funnel.core.container import Mount
from funnel.core.error import Denied, NotFound, Unavailable
from funnel.core.path import Parts, parts, shown, text
from funnel.safepath.directory import ENTER, LOOK, entered
from funnel.safepath.whole import whole_file

LINKS: Final = 40
"""As many links on one way as the kernel follows."""
STEPS: Final = 5_000
UNTOUCHED: Final = 271_828_182 * 10**9
"""A time, in nanoseconds, at which nobody changed a file of a task."""
READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


class Kind(StrEnum):
    FILE = "file"
    DIRECTORY = "directory"
    FIFO = "fifo"
    SOCKET = "socket"
    DEVICE = "device"


class Entry(NamedTuple):
    """What lies below a directory, by its path relative to it."""

    name: str
    kind: Kind


class Tree:
    """The task's own files: what is mounted, and below all of it the attempt's `root`. Blocks."""

    def __init__(self, mounts: Sequence[Mount], root: Path) -> None:
        self._mounts: dict[Parts, Mount] = {(): Mount(str(root), "/", writable=True)}
        self._mounts |= {parts(one.target): one for one in mounts}
        self._deepest = max(map(len, self._mounts))
        self._points: dict[Parts, set[str]] = defaultdict(set)
        for target in self._mounts:
            if target:
                self._points[target[:-1]].add(target[-1])

    def kind(self, path: str) -> Kind | None:
        """What is there, links followed; None for nothing. Raises `Denied` for a way out."""
        try:
            with self._found(parts(path)) as spot:
                return _kind(os.fstat(spot.fd).st_mode)
        except NotFound:
            return None

    def open_file(self, path: str) -> IO[bytes]:
        """A regular file, for reading. Raises `NotFound`, or `Denied` for anything else."""
        with self._found(parts(path)) as spot:
            kind = _kind(os.fstat(spot.fd).st_mode)
            if kind is not Kind.FILE:
                raise Denied(f"{shown(parts(path))} is a {kind}, not a file")
            with _told(parts(path)):
                # The descriptor only names the file; /proc opens that one, whatever is there now.
                return os.fdopen(os.open(f"/proc/self/fd/{spot.fd}", READ), "rb")

    def names(self, path: str, *, most: int) -> Sequence[str]:
        """What is in a directory, sorted; mount points in it count. Raises `NotFound`."""
        with self._found(parts(path)) as spot:
            return sorted(self._members(spot, most))

    def walk(self, path: str, *, most: int) -> Iterator[Entry]:
        """
        What is below a directory but directories, each sorted by name; links followed.

        Raises `Denied` for a link that leads out or back, and for more than `most` members.
        """
        waiting = [_Ahead(parts(path), Entry("", Kind.DIRECTORY), ())]
        taken = 0
        while waiting:
            taken += 1
            one = waiting.pop()
            if one.entry.kind is not Kind.DIRECTORY:
                yield one.entry
                continue
            waiting += self._inside(one, most)
            if taken + len(waiting) > most:
                raise _too_many(parts(path), most)

    def make_directory(self, path: str, mode: int) -> None:
        """A directory with exactly this mode; those above it can be entered by everybody."""
        with self._directory(parts(path)) as directory:
            os.fchmod(directory, mode)

    @contextmanager
    def new_file(self, path: str, mode: int = 0o644) -> Generator[int]:
        """
        A descriptor to write to; the file is under its name only once it is whole.

        Raises `Denied` where containers may not write either.
        """
        at = parts(path)
        if not at:
            raise Denied(f"{shown(parts(path))} is not the path of a file")
        with (
            self._directory(at[:-1]) as directory,
            _told(at),
            whole_file(directory, at[-1], durable=False) as made,
        ):
            yield made
            os.fchmod(made, mode)

    def hold_place(self, path: str, mode: int) -> None:
        """An empty file to mount, which `is_untouched` until somebody opens it to write."""
        with self.new_file(path, mode) as made:
            os.utime(made, ns=(UNTOUCHED, UNTOUCHED))

    def is_untouched(self, path: str) -> bool:
        """Whether it is only held a place for. Raises `NotFound`."""
        with self._found(parts(path)) as spot:
            found = os.fstat(spot.fd)
            return not found.st_size and found.st_mtime_ns == UNTOUCHED

    def _inside(self, one: "_Ahead", most: int) -> Iterator["_Ahead"]:
        """The members of a directory, last first."""
        with self._found(one.at) as spot:
            found = os.fstat(spot.fd)
            here = (found.st_dev, found.st_ino)
            if here in one.outer:
                raise Denied(f"{shown(one.at)} leads back to a directory above it")
            members = self._members(spot, most)
        outer = (*one.outer, here)
        for name in sorted(members, reverse=True):
            at = (*spot.at, name)
            kind = members[name] or self.kind(text(at))
            if kind:
                below = f"{one.entry.name}/{name}" if one.entry.name else name
                yield _Ahead(at, Entry(below, kind), outer)

    def _members(self, spot: "_Spot", most: int) -> dict[str, Kind | None]:
        """Names and, of what is no link or mount point, kinds. Raises `Denied` for too many."""
        if not stat.S_ISDIR(os.fstat(spot.fd).st_mode):
            raise NotFound(f"{shown(spot.at)} is not a directory")
        with _told(spot.at), entered(spot.fd) as directory, os.scandir(directory) as entries:
            members = {entry.name: _kind_of(entry) for entry in islice(entries, most + 1)}
        if len(members) > most:
            raise _too_many(spot.at, most)
        return members | dict.fromkeys(self._points.get(spot.at, ()))

    @contextmanager
    def _directory(self, path: Parts) -> Generator[int]:
        """An open directory that containers may write to, made where it is missing."""
        at = path
        while at and self.kind(text(at)) is None:
            at = at[:-1]
        with self._found(at) as spot, _told(path), entered(spot.fd) as directory:
            if not spot.writable:
                raise Denied(f"{shown(path)} lies in an input, which cannot be changed")
            with _below(directory, path[len(at) :]) as made:
                yield made

    @contextmanager
    def _found(self, path: Parts) -> Generator["_Spot"]:
        spot = self._walk(path)
        try:
            yield spot
        finally:
            os.close(spot.fd)

    def _walk(self, path: Parts) -> "_Spot":
        """What is at the end of a path; `ahead` are its parts, and those that links put before."""
        ahead: deque[str] = deque(path)
        own, links = len(path), 0
        with _told(path):
            spot = self._begin(ahead)
        for _ in range(STEPS):
            if not ahead:
                return spot
            told = _told_of_link if len(ahead) > own else _told
            above, name = spot, ahead.popleft()
            own = min(own, len(ahead))
            with told(path):
                spot, target = _step(above, name)
            if target is None:
                continue
            links += name != ".."
            if links > LINKS:
                break
            way = (*target, *ahead) if target[:1] == ("/",) else (*above.at, *target, *ahead)
            ahead = deque([part for part in way if part not in ("", ".", "/")])
            with _told_of_link(path):
                spot = self._begin(ahead)
        else:
            os.close(spot.fd)
        raise Denied(f"{shown(path)} has too many links on its way")

    def _begin(self, ahead: deque[str]) -> "_Spot":
        """The deepest mount on the way: what is between mount points cannot be changed."""
        way = tuple(ahead)
        sizes = range(min(len(way), self._deepest), -1, -1)
        at = next(way[:size] for size in sizes if way[:size] in self._mounts)
        for _ in at:
            ahead.popleft()
        mount = self._mounts[at]
        return _Spot(os.open(mount.source, LOOK), at, mount.writable)


class _Spot(NamedTuple):
    """A descriptor that names what is at a path without links."""

    fd: int
    at: Parts
    writable: bool


class _Ahead(NamedTuple):
    """What is still to be looked at, and the directories above it."""

    at: Parts
    entry: Entry
    outer: tuple[tuple[int, int], ...]


def _step(spot: _Spot, name: str) -> tuple[_Spot, tuple[str, ...] | None]:
    """
    One step on, or the target of a link to begin again with; the spot before is closed.

    A target that is absolute begins with `/`, and the spot that comes with it is closed too.
    """
    try:
        if name == "..":
            return spot, ("/", *spot.at[:-1])
        fd = os.open(name, LOOK, dir_fd=spot.fd)
    finally:
        os.close(spot.fd)
    if not stat.S_ISLNK(os.fstat(fd).st_mode):
        return _Spot(fd, (*spot.at, name), spot.writable), None
    try:
        target = os.readlink("", dir_fd=fd)
    finally:
        os.close(fd)
    return spot, ("/" if target.startswith("/") else "", *target.split("/"))


@contextmanager
def _below(directory: int, path: Parts) -> Generator[int]:
    """A directory below another; those on the way are made."""
    now = os.dup(directory)
    try:
        for name in path:
            with suppress(FileExistsError):
                os.mkdir(name, 0o700, dir_fd=now)
            inner = os.open(name, ENTER, dir_fd=now)
            os.close(now)
            now = inner
            os.fchmod(now, 0o755)
        yield now
    finally:
        os.close(now)


@contextmanager
def _told(path: Parts) -> Generator[None]:
    """Errors of the file system, by the container path they are about."""
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotFound(f"there is no {shown(path)}") from error
    except PermissionError as error:
        raise Denied(
            f"the server may not reach {shown(path)}: let the container run as the server's user,"
            " or make the file readable"
        ) from error
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise NotFound(f"there is no {shown(path)}: the name is too long") from error
        refused = error.errno in {errno.EISDIR, errno.EEXIST, errno.ELOOP, errno.ENOTEMPTY}
        kind = Denied if refused else Unavailable
        raise kind(f"{shown(path)} cannot be used: {error.strerror}") from error


@contextmanager
def _told_of_link(path: Parts) -> Generator[None]:
    try:
        with _told(path):
            yield
    except NotFound as error:
        raise Denied(f"{shown(path)} is a link that leads out of the task's own files") from error


def _too_many(path: Parts, most: int) -> Denied:
    return Denied(
        f"{shown(path)} has more than {most} files and directories; store them as an archive"
    )


def _kind_of(entry: os.DirEntry[str]) -> Kind | None:
    if entry.is_dir(follow_symlinks=False):
        return Kind.DIRECTORY
    return Kind.FILE if entry.is_file(follow_symlinks=False) else None


def _kind(mode: int) -> Kind:
    kinds = (
        (stat.S_ISREG, Kind.FILE),
        (stat.S_ISDIR, Kind.DIRECTORY),
        (stat.S_ISFIFO, Kind.FIFO),
        (stat.S_ISSOCK, Kind.SOCKET),
    )
    return next((name for fits, name in kinds if fits(mode)), Kind.DEVICE)
