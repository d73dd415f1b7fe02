"""`funnel run`."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import click

from funnel.cli.client import talk
from funnel.cli.follow import follow
from funnel.cli.output import print_json
from funnel.cli.run.build import spec
from funnel.cli.run.flags import RunCommand, given
from funnel.cli.run.scatter import scattered, text_of
from funnel.cli.specs import checked
from funnel.cli.talk import server_option
from funnel.client.http import AsyncClient
from funnel.core.error import FunnelError
from funnel.core.query import View
from funnel.core.task import Spec

F = TypeVar("F", bound=Callable[..., Any])

ABOUT: Final = """\
Run COMMAND, or what --sh and --exec say, as a task, and print its id.

Each KEY of --in, --out and the like is an environment variable that holds the path of the
file in the container:

\b
  funnel run 'md5sum $in > $out' --in in=README.md --out out=sum.txt --wait

A PATH is a file here or a URL. Text after the first = is taken as it is, commas too.

With --scatter, each line of FILE is a task, written as flags: those of one name replace all
of that name given here, and a line without a command runs the one given here.

With --wait, what the task prints goes to standard output at a terminal; elsewhere it goes to
standard error, so that standard output has the ids and nothing else.
"""


def _many(*names: str, metavar: str, about: str) -> Callable[[F], F]:
    return click.option(*names, multiple=True, metavar=metavar, help=f"{about}; repeatable.")


def _text(*names: str, metavar: str, about: str) -> Callable[[F], F]:
    return click.option(*names, metavar=metavar, help=about)


@click.command("run", cls=RunCommand, help=ABOUT)
@click.argument("command", nargs=-1)
@server_option
@_text("-c", "--container", metavar="IMAGE", about="The image; default: alpine.")
@_many("--sh", metavar="COMMAND", about="An executor that runs this in a shell")
@_many("--exec", metavar="COMMAND", about="An executor that runs this without a shell")
@_many("--stdin", metavar="PATH", about="What the command before it reads")
@_many("--stdout", metavar="PATH", about="Where what the command before it prints goes")
@_many("--stderr", metavar="PATH", about="Where its errors go")
@_many("-i", "--in", "inputs", metavar="KEY=PATH", about="A file to bring")
@_many("-I", "--in-dir", "input_dirs", metavar="KEY=PATH", about="A directory to bring")
@_many("-C", "--content", "contents", metavar="KEY=FILE", about="A small file to send along")
@_many("-o", "--out", "outputs", metavar="KEY=PATH", about="A file to store")
@_many("-O", "--out-dir", "output_dirs", metavar="KEY=PATH", about="A directory to store")
@_many("-e", "--env", metavar="KEY=VALUE", about="An environment variable")
@_text("-w", "--workdir", metavar="DIR", about="Where commands start, in the container.")
@_many("--vol", "volumes", metavar="DIR", about="A directory that the executors share")
@click.option("--cpu", type=int, metavar="N", help="Processors.")
@click.option("--ram", type=float, metavar="GB", help="Memory, in GB of 10^9 bytes.")
@click.option("--disk", type=float, metavar="GB", help="Disk, in GB of 10^9 bytes.")
@_many("--zone", "zones", metavar="ZONE", about="Where it may run")
@click.option("--preemptible", is_flag=True, help="It may run on machines that can be taken away.")
@_text("-n", "--name", metavar="NAME", about="The task's name; default: its first command.")
@_text("--description", metavar="TEXT", about="More about the task.")
@_many("--tag", "tags", metavar="KEY=VALUE", about="A tag")
@_many("--scatter", metavar="FILE", about="A task for each line: flags over those given here")
@_many("--wait-for", metavar="ID", about="Wait for this task first")
@click.option("--wait", is_flag=True, help="Show the log, and exit with the task's exit code.")
@click.option("-p", "--print", "show", is_flag=True, help="Print the task as JSON, create nothing.")
@click.pass_context
def run(ctx: click.Context, /, **flags: Any) -> None:
    base = given(ctx)
    tasks = [*scattered(ctx, base, flags["scatter"])] if flags["scatter"] else [base]
    specs = [checked(spec(one, text_of), where="not a task") for one in tasks]
    if flags["show"]:
        for one in specs:
            print_json(one)
        return
    ctx.exit(talk(flags["server"], lambda client: _run(client, specs, flags)))


async def _run(client: AsyncClient, specs: Sequence[Spec], flags: dict[str, Any]) -> int:
    await asyncio.gather(*(_over(client, one) for one in flags["wait_for"]))
    made = await asyncio.gather(*(client.create(one) for one in specs))
    for task_id in made:
        click.echo(task_id)
    if not flags["wait"]:
        return 0
    try:
        return await follow(client, made)
    except asyncio.CancelledError:
        click.echo(f"\nNot ended yet; stop with: funnel task cancel {' '.join(made)}", err=True)
        raise


async def _over(client: AsyncClient, task_id: str) -> None:
    """How it ended does not matter, and neither does whether it was ever there."""
    try:
        await client.wait(task_id, view=View.MINIMAL)
    except FunnelError as error:
        click.echo(f"Warning: not waiting for {task_id}: {error}", err=True)
