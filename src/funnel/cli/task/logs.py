"""`funnel task logs`."""

import sys
from contextlib import aclosing
from typing import Any

import click
from msgspec import convert

from funnel.cli.client import talk
from funnel.cli.screen import Screen
from funnel.cli.talk import server_option
from funnel.client.hearing import pieces
from funnel.client.http import AsyncClient
from funnel.client.tail import Piece
from funnel.core.container import Stream
from funnel.core.value import Value


class Asked(Value, kw_only=True):
    """What was asked for on the command line."""

    task_id: str
    follow: bool
    stdout: bool
    stderr: bool
    system: bool
    executor: int | None
    server: str | None

    def wants(self, piece: Piece) -> bool:
        if piece.stream is None:
            return self.system
        if self.executor not in {None, piece.executor}:
            return False
        every = not (self.stdout or self.stderr or self.system)
        return every or (self.stdout if piece.stream is Stream.STDOUT else self.stderr)


@click.command("logs")
@click.argument("task_id", metavar="ID")
@click.option("-f", "--follow", is_flag=True, help="Go on until the task has ended.")
@click.option("--stdout", is_flag=True, help="What its commands print.")
@click.option("--stderr", is_flag=True, help="Their errors.")
@click.option("--system", is_flag=True, help="What Funnel says about the task.")
@click.option("--executor", type=click.IntRange(0), metavar="N", help="Only of this one; 0 first.")
@server_option
def logs(**given: Any) -> None:
    """
    Print what a task has written: standard output and standard error, unless one is named.

    The server keeps the end of each (its setting Worker.LogTailSize); what a task sends to
    files with stdout and stderr is whole there.
    """
    asked = convert(given, Asked)
    talk(asked.server, lambda client: _logs(client, asked))


async def _logs(client: AsyncClient, asked: Asked) -> None:
    screen = Screen(sys.stdout, sys.stderr)
    async with aclosing(pieces(client, asked.task_id, follow=asked.follow)) as told:
        async for piece in told:
            if asked.wants(piece):
                screen.print(piece)
