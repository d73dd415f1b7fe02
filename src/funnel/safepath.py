"""
Files that a container may have touched, looked at in the container's view.

Every step goes from an open directory to one name in it, never through a link that was not
looked at first. A link is followed as the container would follow it: its target is a container
path, and what is not in the task's own tree does not exist. So whatever a container plants,
and whenever it swaps it, nothing outside the tree is opened.
"""

import os
import secrets
import shutil
import stat
from collections import deque
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Final, TypeAlias

from funnel.core.container import Mount
from funnel.core.error import Denied, NotFound
from funnel.core.path import Parts, is_within, joined, parts, text

LINKS: Final = 40
LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
ENTER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
MAKE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Kind: TypeAlias = str
"""`file`, `directory`, or what else it is: `fifo`, `socket`, `device`."""


class Tree:
    """The task's own files: what is mounted, and below all of it the attempt's `root`."""

    def __init__(self, mounts: Sequence[Mount], root: Path) -> None:
        self._sources: dict[Parts, str] = {parts(one.target): one.source for one in mounts}
        self._sources[()] = str(root)

    def kind(self, path: str) -> Kind | None:
        """What is there, links followed; None for nothing. Raises `Denied` for a way out."""
        try:
            with self._found(parts(path)) as (fd, _):
                return _kind(os.fstat(fd).st_mode)
        except NotFound:
            return None

    def open_file(self, path: str) -> IO[bytes]:
        """A regular file, for reading. Raises `NotFound`, or `Denied` for anything else."""
        with self._found(parts(path)) as (fd, _):
            if (kind := _kind(os.fstat(fd).st_mode)) != "file":
                raise Denied(f"{path} is a {kind}, not a file")
            # The descriptor only names the file; /proc opens that very one, whatever is there now.
            opened = os.open(f"/proc/self/fd/{fd}", READ & ~os.O_NOFOLLOW)
        return os.fdopen(opened, "rb")

    def names(self, path: str) -> Sequence[str]:
        """What is in a directory, sorted; mount points in it count. Raises `NotFound`."""
        with self._found(parts(path)) as (fd, at):
            if not stat.S_ISDIR(os.fstat(fd).st_mode):
                raise NotFound(f"{path} is not a directory")
            with _entered(fd) as directory:
                seen = {one.name for one in os.scandir(directory)}
        mounted = {one[-1] for one in self._sources if one and one[:-1] == at}
        return sorted(seen | mounted)

    def files(self, path: str) -> Iterator[str]:
        """
        The regular files below a directory, sorted, as paths relative to it.

        Raises `Denied` for a link that leads out, a loop, or what is neither file nor directory.
        """
        return self._files(path.rstrip("/"), "", ())

    def _files(self, path: str, below: str, outer: tuple[tuple[int, int], ...]) -> Iterator[str]:
        with self._found(parts(path)) as (fd, _):
            seen = os.fstat(fd)
        here = (seen.st_dev, seen.st_ino)
        if here in outer:
            raise Denied(f"{path} leads back to a directory above it")
        for name in self.names(path):
            inner = f"{path}/{name}"
            match self.kind(inner):
                case "directory":
                    yield from self._files(inner, f"{below}{name}/", (*outer, here))
                case "file":
                    yield f"{below}{name}"
                case None:
                    raise Denied(f"{inner} is a link to nothing in the task's own files")
                case kind:
                    raise Denied(f"{inner} is a {kind}, which cannot be stored")

    @contextmanager
    def new_file(self, path: str) -> Generator[IO[bytes]]:
        """A file to write, which is under its name only once it is whole."""
        *above, name = parts(path)
        with self._directory(tuple(above)) as directory:
            unfinished = f".funnel-{secrets.token_hex(8)}"
            file = os.fdopen(os.open(unfinished, MAKE, 0o644, dir_fd=directory), "wb")
            try:
                with file:
                    yield file
                    os.fchmod(file.fileno(), 0o644)
                os.rename(unfinished, name, src_dir_fd=directory, dst_dir_fd=directory)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(unfinished, dir_fd=directory)
                raise

    @contextmanager
    def _directory(self, path: Parts) -> Generator[int]:
        """An open directory of the tree, made where it is missing."""
        for depth in range(1, len(path) + 1):
            if self.kind(text(path[:depth])) is None:
                with self._directory(path[: depth - 1]) as above, suppress(FileExistsError):
                    os.mkdir(path[depth - 1], 0o777, dir_fd=above)
        with self._found(path) as (fd, _), _entered(fd) as directory:
            yield directory

    @contextmanager
    def _found(self, path: Parts) -> Generator[tuple[int, Parts]]:
        """A descriptor that names what is there, and its path without links."""
        fd, at = self._walk(path)
        try:
            yield fd, at
        finally:
            os.close(fd)

    def _mounted(self, at: Parts, ahead: Iterable[str]) -> Parts:
        """The way from `at` to the deepest mount point that lies ahead; what is between is fixed."""
        whole = (*at, *ahead)
        found = (one for one in self._sources if len(one) > len(at) and is_within(whole, one))
        return max(found, key=len, default=at)[len(at) :]

    def _walk(self, path: Parts) -> tuple[int, Parts]:
        ahead, links = deque(path), 0
        at: Parts = ()
        fd = _look(self._sources[()], None)
        try:
            while ahead:
                step = self._mounted(at, ahead) or (ahead[0],)
                source = self._sources.get((*at, *step))
                inner = _look(source, None) if source else _look(step[0], fd)
                os.close(fd)
                fd = inner
                for _ in step:
                    ahead.popleft()
                if not stat.S_ISLNK(os.fstat(fd).st_mode):
                    at = (*at, *step)
                    continue
                links = _counted(links, path)
                ahead = deque((*_target(fd, at), *ahead))
                at = ()
                os.close(fd)
                fd = _look(self._sources[()], None)
        except (FileNotFoundError, NotADirectoryError) as error:
            os.close(fd)
            raise _missing(path, links) from error
        except BaseException:
            os.close(fd)
            raise
        return fd, at


def remove_tree(directory: Path) -> bool:
    """Delete a directory with all that is in it; whether nothing is left."""
    shutil.rmtree(directory, ignore_errors=True)
    return not directory.exists()


def contains(outer: Path, inner: Path) -> bool:
    """Whether a resolved path is another or lies below it."""
    return is_within(inner.parts, outer.parts)


def _look(name: str, directory: int | None) -> int:
    return os.open(name, LOOK, dir_fd=directory)


def _target(fd: int, at: Parts) -> Parts:
    """Where a link leads, as a container path."""
    target = os.readlink("", dir_fd=fd)
    climbing = tuple(part for part in target.split("/") if part not in ("", "."))
    return joined(() if target.startswith("/") else at, climbing)


def _counted(links: int, path: Parts) -> int:
    if links >= LINKS:
        raise Denied(f"{text(path)} has too many links on its way")
    return links + 1


def _missing(path: Parts, links: int) -> Exception:
    if links:
        return Denied(f"{text(path)} is a link that leads out of the task's own files")
    return NotFound(f"there is no {text(path)}")


@contextmanager
def _entered(fd: int) -> Generator[int]:
    """A directory that can be listed and written to, from a descriptor that only names it."""
    directory = os.open(".", ENTER, dir_fd=fd)
    try:
        yield directory
    finally:
        os.close(directory)


def _kind(mode: int) -> Kind:
    kinds = (
        (stat.S_ISREG, "file"),
        (stat.S_ISDIR, "directory"),
        (stat.S_ISFIFO, "fifo"),
        (stat.S_ISSOCK, "socket"),
    )
    return next((name for fits, name in kinds if fits(mode)), "device")
