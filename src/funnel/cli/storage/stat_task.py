"""`funnel storage stat-task`."""

from collections.abc import Iterable, Sequence
from pathlib import Path

import click

from funnel.cli.specs import specs_of
from funnel.cli.storage.opened import print_line, shown, with_storage
from funnel.cli.words import config_option
from funnel.core.error import FunnelError
from funnel.core.task import Input, Output, Spec
from funnel.ports import Object, Storage


@click.command("stat-task")
@click.argument("file", type=click.Path(path_type=Path))
@config_option
def stat_task(file: Path, config: Path | None) -> None:
    """Look at each input and output of the tasks in FILE; what is missing is said, and no error."""
    files = [one for spec in specs_of(file) for one in _files(spec)]
    urls = [one.url for one in files if one.url]
    for found in with_storage(config, lambda storage: _looks(storage, urls)):
        if isinstance(found, FunnelError):
            click.echo(f"Error: {found}", err=True)
        else:
            print_line(shown(found))


def _files(spec: Spec) -> Iterable[Input | Output]:
    yield from spec.inputs
    yield from spec.outputs


async def _looks(storage: Storage, urls: Sequence[str]) -> list[Object | FunnelError]:
    return [await _look(storage, url) for url in urls]


async def _look(storage: Storage, url: str) -> Object | FunnelError:
    try:
        return await storage.stat(url)
    except FunnelError as error:
        return error
