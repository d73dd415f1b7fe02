"""Files on this machine: `file:///p` and plain absolute paths, taken as they are written."""

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Callable, Generator, Iterable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import IO, Final, NamedTuple

from funnel.core.error import Denied, Exists, Invalid, NoSpace, NotFound, Unavailable
from funnel.core.value import Value
from funnel.plugins import Host, Plugin
from funnel.ports import Object, Share
from funnel.safepath import copy, opened, refuse_special, whole_file
from funnel.storage.ahead import Small
from funnel.storage.landing import FULL
from funnel.storage.threads import until_stopped

SCHEME: Final = "file://"
MOST: Final = 1_000_000
"""Files below one directory; links can make few of them look like any number."""


class Settings(Value, kw_only=True, rename="pascal"):
    """Files on this machine."""

    disabled: bool = False
    allowed_dirs: tuple[str, ...] = (".",)
    """Where tasks may read and write; `.` is the directory that the server started in."""
    shared_dirs: tuple[str, ...] = ()
    """
    Directory inputs below are mounted read-write where they are.

    They are allowed as well, and clients find them in service-info.
    """


class LocalStorage:
    """
    Answers `ports.Storage`. Paths are compared by parts, after their links are resolved.

    What belongs to the server itself is out of reach, and so is a directory that holds it.
    """

    def __init__(
        self, allowed: Iterable[Path], shared: Iterable[Path] = (), private: Iterable[Path] = ()
    ) -> None:
        self._shared = _resolved(shared)
        self._allowed = (*_resolved(allowed), *self._shared)
        self._private = _named(private)

    def takes(self, url: str) -> bool:
        return url.startswith((SCHEME, "/"))

    def in_place(self, url: str) -> Path | None:
        return self._existing(url)

    def shared(self, url: str) -> bool:
        path = _real(_path(url), url)
        with _told(url):
            return _is_below(path, self._shared) and path.is_dir()

    def roots(self) -> tuple[str, ...]:
        return tuple(f"{SCHEME}{one}" for one in self._shared)

    async def stat(self, url: str) -> Object:
        return await asyncio.to_thread(self._stat, url)

    async def list_objects(self, url: str) -> Sequence[Object]:
        return await asyncio.to_thread(self._list, url)

    async def get(self, url: str, to: Path, share: Share | None = None) -> Object:
        found = await until_stopped(lambda check: self._get(url, to, check))
        return _heard(found, share)

    async def put(
        self, source: IO[bytes], url: str, share: Share | None = None, *, overwrite: bool = True
    ) -> Object:
        stored = await until_stopped(
            lambda check: self._put(source, url, check, overwrite=overwrite)
        )
        return _heard(stored, share)

    def _existing(self, url: str) -> Path:
        path = _real(_path(url), url)
        # Whether there is anything outside is nobody's business.
        self._check(path, url)
        with _told(url):
            if not path.exists():
                raise NotFound(f"there is no {url}")
        if any(_is_below(one, [path]) for one in self._private):
            raise Denied(f"can't access {url}: it holds files of the server itself; name one in it")
        return path

    def _check(self, path: Path, url: str) -> None:
        if not _is_below(path, self._allowed):
            raise Denied(
                f"can't access {url}: it is in no allowed directory;"
                " the server's LocalStorage.AllowedDirs lists them"
            )
        if _is_below(path, self._private):
            raise Denied(f"can't access {url}: it belongs to the server itself")

    def _stat(self, url: str) -> Object:
        path = self._existing(url)
        with _told(url):
            return _object(url, "", path.stat())

    def _list(self, url: str) -> Sequence[Object]:
        top = self._existing(url)
        if not top.is_dir():
            raise NotFound(f"{url} is not a directory")
        with _told(url):
            found = list(islice(self._below(url.rstrip("/"), top), MOST + 1))
        if len(found) > MOST:
            raise Invalid(f"{url} has more than {MOST} files; use an archive")
        return sorted(found, key=lambda one: one.name)

    def _below(self, url: str, top: Path) -> Iterator[Object]:
        waiting = [_Folder(top, "", (top,))]
        while waiting:
            folder = waiting.pop()
            for member in folder.path.iterdir():
                below = f"{folder.name}{member.name}"
                path = self._member(member, url)
                if path is None:
                    continue
                if path.is_dir():
                    waiting.append(folder.inner(path, f"{below}/"))
                elif path.is_file():
                    yield _object(f"{url}/{below}", below, path.stat())

    def _member(self, path: Path, url: str) -> Path | None:
        """Where a member of a directory really is; None for a link to nothing."""
        if not path.is_symlink():
            return path
        real = _real(path, url)
        self._check(real, f"{url}, by its link {path}")
        return real if real.exists() else None

    def _get(self, url: str, to: Path, check: Callable[[], None]) -> Object:
        source = self._existing(url)
        if source.is_dir():
            for one in self._list(url):
                self._get(one.url, to / one.name, check)
            return Object(url, 0)
        with _told(url), self._open(source, url) as file:
            with opened(_real(to.parent, url)) as directory:
                mode = _mode(file)
                refuse_special(directory, to.name)
                with whole_file(directory, to.name, mode=mode, durable=False) as made:
                    copy(file, made, check)
                    size = os.fstat(made).st_size
            return Object(url, size, last_modified=_changed(os.fstat(file.fileno())))

    def _open(self, path: Path, url: str) -> IO[bytes]:
        """A regular file, checked once more: the path may have become a link since."""
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        with ExitStack() as stack:
            file = stack.enter_context(os.fdopen(os.open(path, flags), "rb"))
            self._check(Path(f"/proc/self/fd/{file.fileno()}").readlink(), url)
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise Denied(f"{url} is neither a file nor a directory")
            stack.pop_all()
            return file

    def _put(
        self, source: IO[bytes], url: str, check: Callable[[], None], *, overwrite: bool
    ) -> Object:
        given = _path(url)
        folder, name = _real(given.parent, url), given.name
        if name in ("", ".."):
            raise Invalid(f"{url} is not the URL of a file")
        self._check(folder / name, url)
        with _told(url), opened(folder) as directory:
            if (folder / name).is_dir():
                raise Invalid(f"cannot store a file at {url}: there is a directory")
            refuse_special(directory, name)
            try:
                size = _stored(source, directory, name, check, overwrite=overwrite)
            except FileExistsError as error:
                raise Exists(f"there is {url} already, and nothing is replaced") from error
        return Object(url, size)


class _Folder(NamedTuple):
    """A directory to list, its name below the top, and those above it."""

    path: Path
    name: str
    outer: tuple[Path, ...]

    def inner(self, path: Path, name: str) -> "_Folder":
        if path in self.outer:
            raise Invalid(f"{self.path} has a link that leads back to {path}")
        return _Folder(path, name, (*self.outer, path))


def _heard(moved: Object, share: Share | None) -> Object:
    """Files of this machine need no connections; what they are is told all the same."""
    if share:
        share.moved(moved.size_bytes)
    return moved


def _stored(
    source: IO[bytes], directory: int, name: str, check: Callable[[], None], *, overwrite: bool
) -> int:
    """How many bytes."""
    mode = _mode(source)
    with whole_file(directory, name, mode=mode, durable=True, replace=overwrite) as made:
        copy(source, made, check)
        return os.fstat(made).st_size


@contextmanager
def _told(url: str) -> Generator[None]:
    """Errors of the file system, by the URL they are about."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound(f"there is no {url}") from error
    except PermissionError as error:
        raise Denied(f"the server may not access {url}; check who owns it") from error
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise Invalid(f"{url} cannot be used: {error.strerror}") from error
    except OSError as error:
        what = f"{url} cannot be used: {error.strerror}"
        if error.errno in FULL:
            raise NoSpace(f"{what}; free some space on that disk") from error
        raise Unavailable(what) from error


def _mode(source: IO[bytes]) -> int:
    """For a copy: what could be run still can be."""
    if isinstance(source, Small):
        return 0o666 | source.permissions & 0o111
    try:
        return 0o666 | os.fstat(source.fileno()).st_mode & 0o111
    except OSError:
        return 0o666


def _object(url: str, name: str, found: os.stat_result) -> Object:
    size = 0 if stat.S_ISDIR(found.st_mode) else found.st_size
    return Object(url, size, name, last_modified=_changed(found))


def _changed(found: os.stat_result) -> datetime:
    return datetime.fromtimestamp(found.st_mtime, UTC)


def _path(url: str) -> Path:
    path = url.removeprefix(SCHEME)
    if not path.startswith("/") or "\0" in path:
        raise Invalid(f"{url!r} is not an absolute path; file URLs have three slashes, file:///p")
    return Path(path)


def _real(path: Path, url: str) -> Path:
    """Where a path leads, which need not exist."""
    try:
        return path.resolve()
    except (OSError, RuntimeError) as error:
        raise Denied(f"{url} cannot be followed: {error}") from error


def _resolved(paths: Iterable[Path]) -> tuple[Path, ...]:
    return tuple(one.expanduser().resolve() for one in paths)


def _named(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Where they are, and where links to them are, which nobody may replace either."""
    found = [*paths]
    links = (one.expanduser().absolute() for one in found)
    return (*_resolved(found), *(one.parent.resolve() / one.name for one in links))


def _is_below(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.parts[: len(one.parts)] == one.parts for one in folders)


@asynccontextmanager
async def make(settings: Settings, host: Host) -> AsyncGenerator[LocalStorage]:
    allowed, shared = settings.allowed_dirs, settings.shared_dirs
    if settings.disabled:
        allowed, shared = (), ()
    yield LocalStorage(map(Path, allowed), map(Path, shared), host.private)


PLUGIN = Plugin("LocalStorage", Settings, make)
