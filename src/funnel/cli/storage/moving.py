"""Moving many files, with how far they are below what is printed."""

import asyncio
import sys
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar

import click

from funnel.cli.screen import Screen
from funnel.cli.storage.opened import with_storage
from funnel.cli.storage.progress import Progress
from funnel.cli.storage.report import Report, Stopped
from funnel.cli.storage.shown import output_option
from funnel.cli.words import config_option
from funnel.core.error import FunnelError
from funnel.ports import Object, Share, Storage
from funnel.service.budget import Budget
from funnel.storage.share import ForFile
from funnel.together import abreast, alongside

F = TypeVar("F", bound=Callable[..., Any])

PARALLEL: Final = 32
EVERY: Final = 0.2
"""Seconds until how far things are is shown anew."""


@dataclass(frozen=True, slots=True)
class Job:
    """One file of so many bytes, -1 where nobody knows, to or from these URLs."""

    size: int
    urls: Sequence[str]
    move: Callable[[Share], Awaitable[Object]]


Jobs: TypeAlias = Callable[[Storage], Awaitable[Sequence[Job]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class How:
    """What the flags below say."""

    config: Path | None
    parallel: int
    output: str
    quiet: bool


def parallel_option(command: F) -> F:
    return click.option(
        "--parallel",
        metavar="N",
        type=click.IntRange(min=1),
        default=PARALLEL,
        show_default=True,
        help="Connections at once, for files and for parts of large ones.",
    )(command)


def moving_options(command: F) -> F:
    quiet = click.option("--quiet", is_flag=True, help="Do not show how far it is.")
    return config_option(parallel_option(output_option(quiet(command))))


def overwrite_option(command: F) -> F:
    return click.option(
        "--no-overwrite",
        "overwrite",
        is_flag=True,
        flag_value=False,
        default=True,
        help="Fail where there is something already, and replace nothing.",
    )(command)


def move_all(jobs: Jobs, how: How) -> None:
    """
    Print each file in the order of the jobs; of several, one that fails does not stop the others.

    Raises `FunnelError` in the end where any has failed.
    """
    screen = Screen(sys.stdout, sys.stderr)
    with_storage(how.config, lambda storage: _move_all(storage, jobs, how, screen), screen.say)


async def _move_all(storage: Storage, jobs: Jobs, how: How, screen: Screen) -> None:
    some = await jobs(storage)
    known = all(one.size >= 0 for one in some)
    progress = Progress(len(some), sum(one.size for one in some) if known else -1)
    share = Budget(connections=how.parallel).share(progress.moved)
    report = Report(screen, how.output, len(some), how.parallel)

    async def work(numbered: tuple[int, Job]) -> None:
        number, job = numbered
        try:
            found = await job.move(ForFile(share, job.size))
        except (FunnelError, OSError) as error:
            if len(some) == 1:
                raise
            progress.file_failed()
            report.failed(number, job.urls, error)
        else:
            progress.file_done()
            report.done(number, found)

    try:
        with suppress(Stopped):
            async with alongside(_shown(progress, screen, how)):
                await abreast(work, enumerate(some), min(how.parallel, len(some)))
    finally:
        screen.end()
        report.rest()
    report.end()


async def _shown(progress: Progress, screen: Screen, how: How) -> None:
    while not how.quiet:
        screen.below(progress.line())
        await asyncio.sleep(EVERY)
