"""What sees to it that a worker runs an attempt somewhere."""

from collections.abc import Sequence
from typing import Protocol, TypeAlias

from funnel.core.task import Spec, TaskId
from funnel.core.value import Value


class Attempt(Value):
    """One try at a task, as its backend gets it."""

    task_id: TaskId
    fence: int
    spec: Spec


class Job(Value):
    """An attempt that a backend has accepted, under the backend's own name for it."""

    task_id: TaskId
    fence: int
    native_id: str


class Accept(Value):
    native_id: str


class Refuse(Value):
    """It can never run here; `reason` is for the user."""

    reason: str


Answer: TypeAlias = Accept | Refuse


class Backend(Protocol):
    """
    Sees to it that a worker runs an attempt somewhere.

    Anything raised means *unknown*: it may have happened, so it is asked again. Submitting
    or cancelling the same attempt twice does no harm.
    """

    @property
    def parameters(self) -> frozenset[str]:
        """The `backend_parameters` that are understood, in lower case."""
        ...

    def promise(self, attempt: Attempt) -> Accept | None:
        """
        What `submit` is going to answer, where that is known without asking anybody.

        It is noted with the new task, which saves an errand: whoever promises takes up in
        `resume` what a server that died has noted and not submitted.
        """
        ...

    async def submit(self, attempts: Sequence[Attempt]) -> Sequence[Answer]:
        """One answer each, in order."""
        ...

    async def cancel(self, jobs: Sequence[Job]) -> None:
        """
        Stop them; those that have ended or are unknown are no error.

        Without a `native_id` where a server died before it could note one: look by the rest.
        """
        ...

    async def resume(self, jobs: Sequence[Job]) -> None:
        """After a restart: take up the attempts that nobody works on any more."""
        ...
