"""Watching tasks until they have ended."""

import asyncio
from collections.abc import Sequence

import click

from funnel.cli.ending import ending, exit_code
from funnel.cli.screen import Screen, screen_below_ids
from funnel.cli.tail import Tail
from funnel.cli.waiting import ended, looks
from funnel.client.http import Client
from funnel.core.query import View
from funnel.core.state import State
from funnel.core.task import Task, TaskId


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
            click.echo(ending(task), err=True)
    return next((code for code in map(exit_code, tasks) if code), 0)


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
