"""`funnel task`."""

import click

from funnel.cli.lazy import Lazy, LazyGroup
from funnel.cli.talk import server_option


@server_option
@click.pass_context
def remember(ctx: click.Context, server: str | None) -> None:
    """A server that is named before the command counts for the command."""
    ctx.obj = server


task = LazyGroup(
    name="task",
    help="Create, look at, wait for and cancel tasks.",
    callback=remember,
    params=list(getattr(remember, "__click_params__", [])),
    lazy={
        "create": Lazy("funnel.cli.task.create:create", "Create tasks from JSON files or stdin."),
        "get": Lazy("funnel.cli.task.get:get", "Print tasks as JSON."),
        "list": Lazy("funnel.cli.task.list:list_tasks", "List tasks, newest first."),
        "cancel": Lazy("funnel.cli.task.cancel:cancel", "Cancel tasks."),
        "delete": Lazy("funnel.cli.task.delete:delete", "Delete tasks that have ended."),
        "wait": Lazy("funnel.cli.task.wait:wait", "Wait until tasks have ended."),
        "logs": Lazy("funnel.cli.task.logs:logs", "Print what a task has written."),
    },
)
