"""Waiting until tasks have ended."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from funnel.client.http import Client
from funnel.core.backoff import delays
from funnel.core.error import Unavailable
from funnel.core.query import View
from funnel.core.state import FINAL, State
from funnel.core.task import Task

PATIENCE: Final = timedelta(minutes=5)
"""How long a server may be gone, as when it is restarted."""

PAUSE: Final = {View.MINIMAL: 2.0, View.BASIC: 2.0, View.FULL: 1.0}
"""Seconds between looks, at most: somebody reads along where all is asked for."""

ENDED: Final = FINAL | {State.PREEMPTED}


async def looks(client: Client, task_id: str, view: View) -> AsyncIterator[Task]:
    """
    A task again and again, until it has ended; short pauses first, since many are short.

    A server that does not answer the first time is an error; later, it may be restarted.
    """
    task = await client.get(task_id, view)
    for pause in delays(first=0.1, factor=1.5, most=PAUSE[view]):
        yield task
        if task.state in ENDED:
            return
        await asyncio.sleep(pause)
        task = await _again(client, task_id, view)


async def ended(client: Client, task_id: str) -> State:
    """The state in which a task has ended, once it has."""
    state = State.UNKNOWN
    async for task in looks(client, task_id, View.MINIMAL):
        state = task.state
    return state


async def _again(client: Client, task_id: str, view: View) -> Task:
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE.total_seconds()
    while True:
        try:
            return await client.get(task_id, view)
        except Unavailable:
            if loop.time() > until:
                raise
        await asyncio.sleep(1)
