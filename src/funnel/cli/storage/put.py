"""`funnel storage put`."""

import asyncio
import stat
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from funnel.cli.storage.moving import How, Job, move_all, moving_options, overwrite_option
from funnel.cli.storage.sources import below, files_below, in_directory
from funnel.core.error import NotFound
from funnel.ports import Object, Share, Storage
from funnel.storage.ahead import SMALL, Ahead


@click.command("put")
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("url")
@overwrite_option
@moving_options
def put(path: Path, url: str, *, overwrite: bool, **how: Any) -> None:
    """
    Copy the file at PATH to URL, or into URL where that ends in a slash.

    Of a directory at PATH all files are copied, under their names below URL. Each is whole under
    its name in the end, or not there.
    """

    def jobs(storage: Storage) -> Sequence[Job]:
        files = [(_size(one), one, to) for one, to in _files(path, url)]
        ahead = Ahead([one for size, one, _ in files if 0 <= size <= SMALL])
        return [
            Job(size, (to,), partial(put_file, storage, one, to, ahead=ahead, overwrite=overwrite))
            for size, one, to in files
        ]

    move_all(lambda storage: asyncio.to_thread(jobs, storage), How(**how))


def _files(path: Path, url: str) -> Sequence[tuple[Path, str]]:
    """Each with the URL where it goes to."""
    if path.is_dir():
        return [(one, below(url, name)) for name, one in files_below(path)]
    return [(path, in_directory(url, path.name))]


def _size(path: Path) -> int:
    """In bytes; -1 where nobody knows."""
    try:
        found = path.stat()
    except OSError as error:
        raise _unread(path, error) from error
    return found.st_size if stat.S_ISREG(found.st_mode) else -1


async def put_file(
    storage: Storage, path: Path, url: str, share: Share, *, ahead: Ahead, overwrite: bool
) -> Object:
    try:
        source = await ahead.opened(path)
    except OSError as error:
        raise _unread(path, error) from error
    with source:
        return await storage.put(source, url, share, overwrite=overwrite)


def _unread(path: Path, error: OSError) -> NotFound:
    return NotFound(f"cannot read {path}: {error.strerror}")
