"""Files on this machine: `file:///p` and plain absolute paths, taken as they are written."""

import asyncio
import os
import secrets
import shutil
import stat
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from funnel.core.error import Denied, Invalid, NotFound, Unavailable
from funnel.core.value import Value
from funnel.plugins import Host, Plugin
from funnel.ports import Object

SCHEME = "file://"
PIECE = 1 << 30


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
    """Answers `ports.Storage`. Paths are compared by parts, after their links are resolved."""

    def __init__(
        self, allowed: Iterable[Path], shared: Iterable[Path] = (), private: Iterable[Path] = ()
    ) -> None:
        self._shared = tuple(one.resolve() for one in shared)
        self._allowed = (*(one.resolve() for one in allowed), *self._shared)
        self._private = tuple(one.resolve() for one in private)

    def takes(self, url: str) -> bool:
        return url.startswith((SCHEME, "/"))

    def in_place(self, url: str) -> Path | None:
        return self._existing(url)

    def shared(self, url: str) -> bool:
        path = _path(url).resolve()
        return path.is_dir() and _is_below(path, self._shared)

    def roots(self) -> tuple[str, ...]:
        return tuple(f"{SCHEME}{one}" for one in self._shared)

    async def stat(self, url: str) -> Object:
        return await asyncio.to_thread(lambda: _object(url, "", self._existing(url).stat()))

    async def list_objects(self, url: str) -> Sequence[Object]:
        return await asyncio.to_thread(self._list, url)

    async def get(self, url: str, to: Path) -> Object:
        return await asyncio.to_thread(self._get, url, to)

    async def put(self, source: IO[bytes], url: str) -> Object:
        return await asyncio.to_thread(self._put, source, url)

    def _existing(self, url: str) -> Path:
        given = _path(url)
        try:
            path = given.resolve(strict=True)
        except (FileNotFoundError, NotADirectoryError) as error:
            # Whether there is anything outside is nobody's business.
            self._check(given.resolve(), url)
            raise NotFound(f"there is no {url}") from error
        except (OSError, RuntimeError) as error:
            raise Denied(f"{url} cannot be read: {error}") from error
        return self._check(path, url)

    def _check(self, path: Path, url: str) -> Path:
        if not _is_below(path, self._allowed):
            raise Denied(
                f"can't access {url}: it is not in an allowed directory;"
                " see LocalStorage.AllowedDirs"
            )
        if _is_below(path, self._private):
            raise Denied(f"can't access {url}: it belongs to the server itself")
        return path

    def _list(self, url: str) -> Sequence[Object]:
        top = self._existing(url)
        if not top.is_dir():
            raise NotFound(f"{url} is not a directory")
        return sorted(self._below(url.rstrip("/"), top), key=lambda one: one.name)

    def _below(self, url: str, top: Path) -> Iterator[Object]:
        for folder, _, names in os.walk(top):
            for name in names:
                path = Path(folder, name)
                below = str(path.relative_to(top))
                real = self._existing(str(path))
                if real.is_file():
                    yield _object(f"{url}/{below}", below, real.stat())

    def _get(self, url: str, to: Path) -> Object:
        source = self._existing(url)
        if source.is_dir():
            for one in self._list(url):
                self._get(one.url, to / one.name)
            return Object(url, 0)
        if not source.is_file():
            raise Denied(f"{url} is neither a file nor a directory")
        to.parent.mkdir(parents=True, exist_ok=True)
        with source.open("rb") as file, _new_file(to.parent, to.name, url) as (made, _):
            _copy(file.fileno(), made)
        return _object(url, "", to.stat())

    def _put(self, source: IO[bytes], url: str) -> Object:
        target = _path(url)
        if target.is_dir():
            raise Invalid(f"cannot store a file at {url}: there is a directory")
        folder = self._check(target.parent.resolve() / target.name, url).parent
        with _told(url):
            folder.mkdir(parents=True, exist_ok=True)
        with _new_file(folder, target.name, url) as (made, directory):
            # A parent may have become a link between the check and now.
            self._check(Path(f"/proc/self/fd/{directory}").readlink() / target.name, url)
            _copy(source.fileno(), made)
            size = os.fstat(made).st_size
        return Object(url, size)


@contextmanager
def _new_file(folder: Path, name: str, url: str) -> Generator[tuple[int, int]]:
    """A file to write and its directory; under its name, on disk, only once it is whole."""
    with _told(url):
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        unfinished = f".funnel-{secrets.token_hex(8)}.part"
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            made = os.open(unfinished, flags, 0o666, dir_fd=directory)
            try:
                yield made, directory
                os.fsync(made)
                os.rename(unfinished, name, src_dir_fd=directory, dst_dir_fd=directory)
                os.fsync(directory)
            except BaseException:
                with suppress(FileNotFoundError):
                    os.unlink(unfinished, dir_fd=directory)
                raise
            finally:
                os.close(made)
        finally:
            os.close(directory)


@contextmanager
def _told(url: str) -> Generator[None]:
    """Errors of the file system, by the URL they are about."""
    try:
        yield
    except PermissionError as error:
        raise Denied(f"the server may not write {url}") from error
    except (IsADirectoryError, NotADirectoryError, FileExistsError) as error:
        raise Invalid(f"cannot store {url}: {error.strerror}") from error
    except OSError as error:
        raise Unavailable(f"cannot write {url}: {error.strerror}") from error


def _copy(source: int, to: int) -> None:
    """Copy what is left to read, in the kernel where it can; shares blocks where it may."""
    try:
        while os.copy_file_range(source, to, PIECE):
            pass
    except OSError:
        with (
            os.fdopen(source, "rb", closefd=False) as rest,
            os.fdopen(to, "wb", closefd=False) as at,
        ):
            shutil.copyfileobj(rest, at, 1 << 20)


def _object(url: str, name: str, found: os.stat_result) -> Object:
    size = 0 if stat.S_ISDIR(found.st_mode) else found.st_size
    return Object(url, size, name, last_modified=datetime.fromtimestamp(found.st_mtime, UTC))


def _path(url: str) -> Path:
    path = url.removeprefix(SCHEME)
    if not path.startswith("/") or "\0" in path:
        raise Invalid(f"{url!r} is not an absolute path; file URLs have three slashes, file:///p")
    return Path(path)


def _is_below(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.parts[: len(one.parts)] == one.parts for one in folders)


@asynccontextmanager
async def make(settings: Settings, host: Host) -> AsyncGenerator[LocalStorage]:
    allowed, shared = settings.allowed_dirs, settings.shared_dirs
    if settings.disabled:
        allowed, shared = (), ()
    yield LocalStorage(map(Path, allowed), map(Path, shared), host.private)


PLUGIN = Plugin("LocalStorage", Settings, make)
