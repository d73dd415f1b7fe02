"""Watching tasks until they have ended."""

import asyncio
import re
from collections.abc import Sequence
from typing import Final

import click

from funnel.cli.screen import Screen, screen_below_ids
from funnel.cli.tail import Tail
from funnel.cli.waiting import ended, looks
from funnel.client.http import Client
from funnel.core.query import View
from funnel.core.state import State
from funnel.core.task import Task, TaskId

MESSAGE: Final = re.compile(r"msg='((?:[^'\\]|\\.)*)'")


async def follow(client: Client, ids: Sequence[TaskId]) -> int:
    """Show what one task prints, or how many of several have ended; the first exit code but 0."""
    screen = screen_below_ids()
    try:
        if len(ids) == 1:
            tasks = [await _watch(client, ids[0], screen)]
        else:
            tasks = await _count(client, ids, screen)
    finally:
        screen.end()
    for task in tasks:
        if task.state is not State.COMPLETE:
            click.echo(f"Task {task.id} exited with state {task.state}{_reason(task)}", err=True)
    return next((code for code in map(exit_code, tasks) if code), 0)


def exit_code(task: Task) -> int:
    """That of the executor that failed; 1 for an end without one."""
    if task.state is State.COMPLETE:
        return 0
    logs = task.logs[-1].logs if task.logs and task.state is State.EXECUTOR_ERROR else ()
    codes = [log.exit_code for log in logs if log.exit_code and 0 < log.exit_code < 256]
    return codes[-1] if codes else 1


async def _watch(client: Client, task_id: TaskId, screen: Screen) -> Task:
    tail, loop = Tail(), asyncio.get_running_loop()
    began = loop.time()
    last = Task(id=task_id, state=State.UNKNOWN)
    async for last in looks(client, task_id, View.FULL):
        for piece in tail.see(last):
            if piece.stream is not None:
                screen.print(piece)
        screen.below(f"{_how_far(last)}, {loop.time() - began:.0f} s")
    return last


async def _count(client: Client, ids: Sequence[TaskId], screen: Screen) -> list[Task]:
    left = [asyncio.create_task(ended(client, one)) for one in ids]
    for done, one in enumerate(asyncio.as_completed(left)):
        screen.below(f"{done} of {len(ids)} tasks have ended")
        await one
    return list(await asyncio.gather(*(client.get(one) for one in ids)))


def _how_far(task: Task) -> str:
    if task.state is State.RUNNING and task.logs:
        at = len(task.logs[-1].logs)
        return f"RUNNING executor {at} of {len(task.executors)}"
    return str(task.state)


def _reason(task: Task) -> str:
    """The last error of the system log."""
    lines = task.logs[-1].system_logs if task.logs else ()
    errors = [line for line in lines if "level='error'" in line]
    found = MESSAGE.search(errors[-1]) if errors else None
    return f": {found[1]}" if found else ""
