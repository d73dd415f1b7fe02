"""Waiting for a task: at the server where it knows how, else by looking again and again."""

import asyncio
from collections.abc import AsyncIterator, Collection
from secrets import SystemRandom
from typing import Final, Protocol

from funnel.core.backoff import delays
from funnel.core.error import Busy, FunnelError, Invalid, Unavailable
from funnel.core.query import View
from funnel.core.state import FINAL, State
from funnel.core.task import Task

PATIENCE: Final = 300.0
"""Seconds for which a server may be gone, as when it is restarted."""

LONGEST_REST: Final = 60.0
"""Seconds that a server may ask us to stay away; for longer it is an error."""

PAUSE: Final = {View.MINIMAL: 2.0, View.BASIC: 2.0, View.FULL: 1.0}
"""Seconds between looks, at most: somebody reads along where all is asked for."""

ENDED: Final = FINAL | {State.PREEMPTED}


class Looker(Protocol):
    async def get(self, task_id: str, view: View = ...) -> Task: ...

    async def look(self, task_id: str, until: Collection[State]) -> tuple[Task, bool]:
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


async def wait(client: Looker, task_id: str, until: Collection[State]) -> Task:
    """
    The task, id and state only, once it is in one of the states or has ended.

    Other servers ignore that they are asked to wait, or refuse it; then it is us who wait.
    """
    clock = asyncio.get_running_loop().time
    pauses = delays(first=0.1, factor=1.5, most=PAUSE[View.MINIMAL])
    wanted = ENDED | set(until)
    task = await client.get(task_id, View.MINIMAL)
    while task.state not in wanted:
        began, pause = clock(), next(pauses)
        task, waited = await _look(client, task_id, wanted)
        if task.state not in wanted and (not waited or clock() - began < pause):
            await asyncio.sleep(jittered(pause))
    return task


def jittered(seconds: float) -> float:
    """About as long, and not the same for all."""
    return seconds * SystemRandom().uniform(0.5, 1.5)


def rest(error: FunnelError, pause: float) -> float:
    """
    Seconds until a try after this error: what the server asks for, and a pause on top.

    Raises the error where the server asks for more than anybody would wait.
    """
    if error.retry_after > LONGEST_REST:
        raise error
    return error.retry_after + jittered(pause)


async def _look(client: Looker, task_id: str, until: Collection[State]) -> tuple[Task, bool]:
    try:
        return await client.look(task_id, until)
    except (Busy, Invalid, Unavailable) as error:
        await asyncio.sleep(rest(error, 0))
        return await _again(client, task_id, View.MINIMAL), False


async def _again(client: Looker, task_id: str, view: View) -> Task:
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE
    while True:
        try:
            return await client.get(task_id, view)
        except Unavailable as error:
            if loop.time() > until:
                raise
            pause = rest(error, 1)
        await asyncio.sleep(pause)
