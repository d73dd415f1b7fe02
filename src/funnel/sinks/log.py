"""The program's own log as a sink: one line an event."""

import logging
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from msgspec.structs import replace

from funnel.core.message import Message, Numbered
from funnel.core.task import Task
from funnel.core.value import Value
from funnel.plugins import Host, Plugin
from funnel.ports import Sink
from funnel.sinks.common import without_logs
from funnel.wire.message import encode

log = logging.getLogger(__name__)


async def tell(told: Sequence[Numbered]) -> None:
    """Answers `ports.Sink`. JSON, so that no text of a task can pass for a line of ours."""
    for one in told:
        log.info("%s", line(one.message))


def line(message: Message) -> str:
    """The message without what a new task consists of, and with nothing that moves a terminal."""
    text = encode(replace(message, task=_short(message.task))).decode()
    return text if text.isprintable() else "".join(map(_printable, text))


def _printable(char: str) -> str:
    return char if char.isprintable() else f"\\u{ord(char):04x}"


def _short(task: Task | None) -> Task | None:
    if task is None:
        return None
    return Task(id=task.id, name=task.name, state=task.state, creation_time=task.creation_time)


class Settings(Value, rename="pascal"):
    """Events in the program's own log: one line each, as JSON; of a new task, only its name."""

    system_logs: bool = True
    """What the system says about tasks, too."""


@asynccontextmanager
async def make(settings: Settings, _host: Host) -> AsyncGenerator[Sink]:
    async def sink(told: Sequence[Numbered]) -> None:
        await tell(without_logs(told, system_logs=settings.system_logs))

    yield sink


PLUGIN = Plugin("EventLog", Settings, make)
