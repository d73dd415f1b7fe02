"""`funnel task list`."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import click
from msgspec import convert

from funnel.cli.client import talk
from funnel.cli.output import for_people, print_json, print_table, task_row
from funnel.cli.talk import server_option
from funnel.cli.words import STATES, output_option, pairs, view_option
from funnel.client.http import AsyncClient
from funnel.core.query import Page, View
from funnel.core.state import State
from funnel.core.value import Value

MOST = 2047


class Asked(Value, kw_only=True):
    """What was asked for on the command line."""

    view: str
    page_size: int | None
    page_token: str
    all_pages: bool
    state: str | None
    tag: tuple[str, ...]
    name_prefix: str
    output: str | None
    server: str | None


@click.command("list")
@view_option("basic")
@click.option("-s", "--page-size", type=click.IntRange(1, MOST), help=f"At most {MOST}.")
@click.option("-p", "--page-token", default="", help="Go on where another page ended.")
@click.option("--all", "all_pages", is_flag=True, help="All pages.")
@click.option(
    "--state", type=click.Choice(STATES, case_sensitive=False), help="Only in this state."
)
@click.option("--tag", metavar="KEY=VALUE", multiple=True, help="Only with this tag; repeatable.")
@click.option("--name-prefix", default="", help="Only names that begin so.")
@output_option("table", "json")
@server_option
def list_tasks(**given: Any) -> None:
    """List tasks, newest first: a table on a terminal, JSON elsewhere."""
    asked = convert(given, Asked)
    page = talk(asked.server, lambda client: _found(client, asked))
    if not for_people(asked.output):
        print_json(page)
        return
    print_table(("ID", "STATE", "CREATED", "NAME"), [task_row(task) for task in page.tasks])
    if page.next_page_token:
        click.echo("There are more: add --all, or --page-token " + page.next_page_token, err=True)


async def _found(client: AsyncClient, asked: Asked) -> Page:
    async with aclosing(_pages(client, asked)) as pages:
        if not asked.all_pages:
            return await _first(pages)
        return Page(tasks=tuple([task async for page in pages for task in page.tasks]))


async def _first(pages: AsyncGenerator[Page]) -> Page:
    """With anything on it: a server may give up a page after a while, empty or not."""
    page = Page(tasks=())
    async for page in pages:
        if page.tasks:
            break
    return page


def _pages(client: AsyncClient, asked: Asked) -> AsyncGenerator[Page]:
    return client.pages(
        state=State(asked.state.upper()) if asked.state else None,
        tags=pairs("--tag", asked.tag),
        name_prefix=asked.name_prefix,
        view=View(asked.view.upper()),
        page_size=asked.page_size or (MOST if asked.all_pages else None),
        page_token=asked.page_token,
    )
