"""`funnel storage put`."""

import asyncio
from pathlib import Path

import click

from funnel.cli.storage.opened import print_line, shown, with_storage
from funnel.cli.words import config_option
from funnel.core.error import NotFound
from funnel.ports import Object, Storage


@click.command("put")
@click.argument("path", type=click.Path(path_type=Path))
@click.argument("url")
@config_option
def put(path: Path, url: str, config: Path | None) -> None:
    """Copy the file or directory at PATH to URL."""
    for one in with_storage(config, lambda storage: _put(storage, path, url)):
        print_line(shown(one))


async def _put(storage: Storage, path: Path, url: str) -> list[Object]:
    if not await asyncio.to_thread(path.is_dir):
        return [await _put_file(storage, path, url)]
    files = await asyncio.to_thread(lambda: sorted(filter(Path.is_file, path.rglob("*"))))
    return [
        await _put_file(storage, one, f"{url.rstrip('/')}/{one.relative_to(path)}") for one in files
    ]


async def _put_file(storage: Storage, path: Path, url: str) -> Object:
    try:
        source = await asyncio.to_thread(path.open, "rb")
    except OSError as error:
        raise NotFound(f"cannot read {path}: {error.strerror}") from error
    with source:
        return await storage.put(source, url)
