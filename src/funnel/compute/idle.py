"""A backend that takes tasks and starts nothing: what `external` and `noop` have in common."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from funnel.core.value import Value
from funnel.plugins import Host
from funnel.ports import Accept, Answer, Attempt, Job


@dataclass(frozen=True, slots=True)
class IdleBackend:
    """Answers `ports.Backend`."""

    parameters: frozenset[str]

    def promise(self, attempt: Attempt) -> Accept:
        return Accept(f"{attempt.task_id}-{attempt.fence}")

    async def submit(self, attempts: Sequence[Attempt]) -> Sequence[Answer]:
        return [self.promise(one) for one in attempts]

    async def cancel(self, jobs: Sequence[Job]) -> None:
        """A worker that is connected hears of it by itself, and there is nothing else to stop."""

    async def resume(self, jobs: Sequence[Job]) -> None:
        """Who works on them, if anybody, comes back by itself."""


class Settings(Value):
    """Nothing to set."""


def idle(
    parameters: frozenset[str],
) -> Callable[[Settings, Host], AbstractAsyncContextManager[IdleBackend]]:
    """Makes one that knows these backend parameters."""

    @asynccontextmanager
    async def make(_settings: Settings, _host: Host) -> AsyncGenerator[IdleBackend]:
        yield IdleBackend(parameters)

    return make
