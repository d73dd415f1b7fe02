"""`funnel storage stat-task`."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from funnel.cli.specs import specs_of
from funnel.cli.storage.moving import parallel_option
from funnel.cli.storage.opened import with_storage
from funnel.cli.storage.shown import output_option, print_one
from funnel.cli.words import config_option
from funnel.core.error import FunnelError
from funnel.core.task import Input, Output, Spec
from funnel.ports import Object, Storage
from funnel.together import abreast


@click.command("stat-task")
@click.argument("file", type=click.Path(path_type=Path))
@config_option
@parallel_option
@output_option
def stat_task(file: Path, config: Path | None, parallel: int, output: str) -> None:
    """Look at each input and output of the tasks in FILE; what is missing is said, and no error."""
    files = [one for spec in specs_of(file) for one in _files(spec)]
    urls = [one.url for one in files if one.url]
    for found in with_storage(config, lambda storage: _looks(storage, urls, parallel)):
        if isinstance(found, FunnelError):
            click.echo(f"Error: {found}", err=True)
        else:
            print_one(found, output)


def _files(spec: Spec) -> Iterable[Input | Output]:
    yield from spec.inputs
    yield from spec.outputs


async def _looks(
    storage: Storage, urls: Sequence[str], most: int
) -> Sequence[Object | FunnelError]:
    found: dict[int, Object | FunnelError] = {}

    async def look(numbered: tuple[int, str]) -> None:
        number, url = numbered
        try:
            found[number] = await storage.stat(url)
        except FunnelError as error:
            found[number] = error

    await abreast(look, enumerate(urls), most)
    return [found[number] for number in range(len(urls))]
