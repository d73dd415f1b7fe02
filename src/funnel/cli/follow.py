"""Watching tasks until they have ended."""

import asyncio
from collections.abc import Sequence
from contextlib import aclosing

import click

from funnel.cli.ending import ending, exit_code
from funnel.cli.screen import Screen, screen_below_ids
from funnel.client.hearing import seen
from funnel.client.http import AsyncClient
from funnel.core.state import State
from funnel.core.task import Task, TaskId
from funnel.together import alongside


async def follow(client: AsyncClient, ids: Sequence[TaskId]) -> int:
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


async def _watch(client: AsyncClient, task_id: TaskId, screen: Screen) -> Task:
    far = ""
    clock = asyncio.get_running_loop().time
    began = clock()

    async def tick() -> None:
        while True:
            screen.below(f"{far}, {clock() - began:.0f} s" if far else "")
            await asyncio.sleep(1)

    async with alongside(tick()), aclosing(seen(client, task_id)) as told:
        async for pieces, far in told:
            for piece in pieces:
                if piece.stream is not None:
                    screen.print(piece)
            screen.below(f"{far}, {clock() - began:.0f} s")
    return await client.get(task_id)


async def _count(client: AsyncClient, ids: Sequence[TaskId], screen: Screen) -> list[Task]:
    left = [asyncio.create_task(client.wait(one)) for one in ids]
    for done, one in enumerate(asyncio.as_completed(left)):
        screen.below(f"{done} of {len(ids)} tasks have ended")
        await one
    return list(await asyncio.gather(*left))
