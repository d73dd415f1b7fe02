"""A backend that takes tasks and does nothing: they stay queued, for tests and measurements."""

from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager

from funnel.core.value import Value
from funnel.plugins import Host, Plugin
from funnel.ports import Accept, Answer, Attempt, Job


class NoopBackend:
    """Answers `ports.Backend`."""

    parameters: frozenset[str] = frozenset()

    async def submit(self, attempts: Sequence[Attempt]) -> Sequence[Answer]:
        return [Accept(f"{one.task_id}-{one.fence}") for one in attempts]

    async def cancel(self, jobs: Sequence[Job]) -> None:
        """Nothing to cancel."""

    async def resume(self, jobs: Sequence[Job]) -> None:
        """Nothing to resume."""


class Settings(Value):
    """Nothing to set."""


@asynccontextmanager
async def make(_settings: Settings, _host: Host) -> AsyncGenerator[NoopBackend]:
    yield NoopBackend()


PLUGIN = Plugin("Noop", Settings, make)
