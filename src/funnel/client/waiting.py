"""Waiting for a task: at the server where it knows how, else by looking again and again."""

import asyncio
from collections.abc import AsyncIterator, Collection
from datetime import timedelta
from secrets import SystemRandom
from typing import Final, Protocol

from funnel.core.backoff import delays
from funnel.core.error import Busy, Invalid, Unavailable
from funnel.core.query import View
from funnel.core.state import FINAL, State
from funnel.core.task import Task

PATIENCE: Final = timedelta(minutes=5)
"""How long a server may be gone, as when it is restarted."""

PAUSE: Final = {View.MINIMAL: 2.0, View.BASIC: 2.0, View.FULL: 1.0}
"""Seconds between looks, at most: somebody reads along where all is asked for."""

ENDED: Final = FINAL | {State.PREEMPTED}


class Looker(Protocol):
    async def get(self, task_id: str, view: View = ...) -> Task: ...

    async def look(self, task_id: str, view: View, until: Collection[State]) -> tuple[Task, bool]:
        """The task, and whether the server has waited for it."""
        ...


async def looks(client: Looker, task_id: str, view: View) -> AsyncIterator[Task]:
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


async def wait(client: Looker, task_id: str, view: View, until: Collection[State]) -> Task:
    """
    The task, once it is in one of the states or has ended.

    Other servers ignore that they are asked to wait, or refuse it; then it is us who wait.
    """
    clock = asyncio.get_running_loop().time
    pauses = delays(first=0.1, factor=1.5, most=PAUSE[view])
    wanted = ENDED | set(until)
    task = await client.get(task_id, view)
    while task.state not in wanted:
        began, pause = clock(), next(pauses)
        task, waited = await _look(client, task_id, view, wanted)
        if task.state not in wanted and (not waited or clock() - began < pause):
            await asyncio.sleep(jittered(pause))
    return task


def jittered(seconds: float) -> float:
    """About as long, and not the same for all."""
    return seconds * SystemRandom().uniform(0.5, 1.5)


async def _look(
    client: Looker, task_id: str, view: View, until: Collection[State]
) -> tuple[Task, bool]:
    try:
        return await client.look(task_id, view, until)
    except (Busy, Invalid, Unavailable):
        return await _again(client, task_id, view), False


async def _again(client: Looker, task_id: str, view: View) -> Task:
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE.total_seconds()
    while True:
        try:
            return await client.get(task_id, view)
        except Unavailable:
            if loop.time() > until:
                raise
        await asyncio.sleep(jittered(1))
