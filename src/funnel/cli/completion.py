"""`funnel completion`."""

import click
from click.shell_completion import get_completion_class

from funnel.core.error import Unavailable

SHELLS = ("bash", "zsh", "fish")


@click.command("completion")
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(ctx: click.Context, /, shell: str) -> None:
    """
    Print a script that completes commands and flags.

    For bash: `source <(funnel completion bash)`, in ~/.bashrc to keep it.
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise Unavailable(f"no completions for {shell}")
    click.echo(kind(ctx.find_root().command, {}, "funnel", "_FUNNEL_COMPLETE").source())
