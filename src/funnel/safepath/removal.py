"""Deleting what a container left."""

import os
import secrets
from collections.abc import Generator
from contextlib import contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from funnel.safepath.directory import ENTER, LOOK, entered

SOME: Final = 10_000


class _Member(NamedTuple):
    name: str
    is_directory: bool


def remove_tree(directory: Path) -> bool:
    """
    Delete a directory with all that is in it; whether nothing is left.

    However deep it is: directories are moved up before they are emptied, so neither memory nor
    descriptors grow with the depth. No link is followed.
    """
    try:
        top = os.open(directory, ENTER)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        while not (is_gone := _is_gone(directory)) and _emptied(top):
            pass
    finally:
        os.close(top)
    return is_gone


def _emptied(top: int) -> bool:
    """Take away one layer; whether anything could be taken away."""
    done = [_removed(one, top) for one in _some(top)]
    return any(done)


def _some(directory: int) -> list[_Member]:
    """Some of what is in a directory, and whether it is a directory itself."""
    with os.scandir(directory) as entries:
        return [
            _Member(one.name, one.is_dir(follow_symlinks=False)) for one in islice(entries, SOME)
        ]


def _removed(member: _Member, top: int) -> bool:
    try:
        if not member.is_directory:
            os.unlink(member.name, dir_fd=top)
            return True
        if _is_gone(member.name, top):
            return True
        moved = _moved_up(member.name, top)
        return _is_gone(member.name, top) or moved
    except OSError:
        return False


def _moved_up(name: str, top: int) -> bool:
    """Empty a directory: its files go, its directories move to the top."""
    with _unlocked(name, top) as named, entered(named) as folder:
        done = [_taken(one, folder, top) for one in _some(folder)]
    return any(done)


def _taken(member: _Member, folder: int, top: int) -> bool:
    try:
        if not member.is_directory:
            os.unlink(member.name, dir_fd=folder)
        elif not _is_gone(member.name, folder):
            token = secrets.token_hex(16)
            with _unlocked(member.name, folder):
                os.rename(member.name, token, src_dir_fd=folder, dst_dir_fd=top)
    except OSError:
        return False
    return True


def _is_gone(directory: Path | str, above: int | None = None) -> bool:
    """Whether a directory could be taken away as it is, or has been."""
    try:
        os.rmdir(directory, dir_fd=above)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    return True


@contextmanager
def _unlocked(name: str, above: int) -> Generator[int]:
    """A directory, named by a descriptor; its owner may read, change and move it."""
    named = os.open(name, LOOK | os.O_DIRECTORY, dir_fd=above)
    try:
        with suppress(PermissionError):
            Path(f"/proc/self/fd/{named}").chmod(0o700)
        yield named
    finally:
        os.close(named)
