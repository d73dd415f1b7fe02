"""
A backend for workers that somebody else starts: a person, a script, a batch system.

Tasks stay queued until `funnel worker run --taskID` comes for one.
"""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from funnel.core.attempts import PARAMETERS
from funnel.core.value import Value
from funnel.plugins import Host, Plugin
from funnel.ports import Accept, Answer, Attempt, Job


class ExternalBackend:
    """Answers `ports.Backend`. A worker that is connected hears of a cancel by itself."""

    parameters: frozenset[str] = PARAMETERS

    async def submit(self, attempts: Sequence[Attempt]) -> Sequence[Answer]:
        return [Accept(f"{one.task_id}-{one.fence}") for one in attempts]

    async def cancel(self, jobs: Sequence[Job]) -> None:
        """There is nothing to stop but the worker."""

    async def resume(self, jobs: Sequence[Job]) -> None:
        """Who works on them, comes back by itself."""


class Settings(Value):
    """Nothing to set."""


@asynccontextmanager
async def make(_settings: Settings, _host: Host) -> AsyncGenerator[ExternalBackend]:
    yield ExternalBackend()


PLUGIN = Plugin("External", Settings, make, remote=True)
