"""`funnel storage copy`."""

import asyncio
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from funnel.cli.storage.moving import How, Job, move_all, moving_options, overwrite_option
from funnel.cli.storage.put import put_file
from funnel.cli.storage.sources import below, files_at, in_directory, last
from funnel.ports import Object, Share, Storage
from funnel.storage.ahead import Ahead


@click.command("copy")
@click.argument("source", metavar="FROM")
@click.argument("url", metavar="TO")
@overwrite_option
@moving_options
def copy(source: str, url: str, *, overwrite: bool, **how: Any) -> None:
    """
    Copy the file at the URL FROM to the URL TO, or into TO where that ends in a slash.

    Of a directory all files are copied, under their names below TO. What is not on this machine
    comes by a file in TMPDIR, one for each file that is on its way.
    """

    async def jobs(storage: Storage) -> Sequence[Job]:
        return [
            Job(
                one.size_bytes,
                (one.url, to),
                partial(_copy, storage, one.url, to, overwrite=overwrite),
            )
            for one, to in await _files(storage, source, url)
        ]

    move_all(jobs, How(**how))


async def _files(storage: Storage, source: str, url: str) -> Sequence[tuple[Object, str]]:
    """Each with the URL where it goes to."""
    found, files = await files_at(storage, source)
    if files:
        return [(one, below(url, "/".join(one.below()))) for one in files]
    return [(found, in_directory(url, last(source)))]


async def _copy(storage: Storage, source: str, to: str, share: Share, *, overwrite: bool) -> Object:
    here = await asyncio.to_thread(storage.in_place, source)
    if here:
        return await put_file(storage, here, to, share, ahead=Ahead(()), overwrite=overwrite)
    with TemporaryDirectory(prefix="funnel-copy-") as folder:
        half, path = _Half(share), Path(folder, "file")
        await storage.get(source, path, half)
        return await put_file(storage, path, to, half, ahead=Ahead(()), overwrite=overwrite)


class _Half:
    """Answers `ports.Share` for a file that is moved twice: each time counts for half of it."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._odd = 0

    def moved(self, count: int) -> None:
        half, self._odd = divmod(count + self._odd, 2)
        self._share.moved(half)

    def place(self, memory: int) -> AbstractAsyncContextManager[None]:
        return self._share.place(memory)

    def spare(self, most: int, memory: int) -> AbstractAsyncContextManager[int]:
        return self._share.spare(most, memory)
