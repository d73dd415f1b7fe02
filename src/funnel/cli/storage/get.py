"""`funnel storage get`."""

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from funnel.cli.storage.moving import How, Job, move_all, moving_options
from funnel.cli.storage.sources import files_at, last
from funnel.core.error import Invalid
from funnel.ports import Object, Storage


@click.command("get")
@click.argument("url")
@click.argument("path", type=click.Path(path_type=Path))
@moving_options
def get(url: str, path: Path, **how: Any) -> None:
    """
    Copy the file at URL to PATH, or into PATH where that is a directory.

    Of a directory at URL all files are copied, under their names below PATH. Each is whole under
    its name in the end, or not there.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise Invalid(f"{path} is there, and neither a file nor a directory; name another place")
    # Links are followed, as cp does: /dev/stdout is one.
    to = Path(os.path.realpath(path))
    move_all(lambda storage: _jobs(storage, url, to), How(**how))


async def _jobs(storage: Storage, url: str, path: Path) -> Sequence[Job]:
    found, files = await files_at(storage, url)
    if files:
        return [_job(storage, one, path.joinpath(*one.below())) for one in files]
    is_file = found.size_bytes or found.etag
    inside = is_file and await asyncio.to_thread(path.is_dir)
    return [_job(storage, found, path / last(url) if inside else path)]


def _job(storage: Storage, one: Object, to: Path) -> Job:
    return Job(one.size_bytes, (one.url,), lambda share: storage.get(one.url, to, share))
