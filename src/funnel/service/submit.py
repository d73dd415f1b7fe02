"""Accepting, cancelling and deleting tasks."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final, Protocol

from msgspec.structs import replace

from funnel.core.attempts import asked
from funnel.core.error import Invalid, InvalidTransition, Problem
from funnel.core.event import Accepted, Batch, Created, Level, Logged, StateChanged
from funnel.core.query import Scope, View
from funnel.core.state import State
from funnel.core.storageaccess import NO_RULES, StorageRules, demand_all
from funnel.core.task import Resources, Spec, TaskId
from funnel.core.validate import check
from funnel.ports import Accept, Attempt, Clock, Tasks

FIRST: Final = 1
"""The fence of the first attempt."""


class Handover(Protocol):
    """The backend, as new tasks come to it; `parameters` are those that it understands."""

    @property
    def queue(self) -> str: ...
    @property
    def parameters(self) -> frozenset[str]: ...

    def promise(self, attempt: Attempt) -> Accept | None:
        """What the backend is going to answer, where that is known."""
        ...

    def take(self, attempt: Attempt) -> None:
        """It is on disk, with what was promised."""
        ...


class Submit:
    def __init__(
        self,
        tasks: Tasks,
        handover: Handover,
        *,
        new_id: Callable[[], TaskId],
        now: Clock,
        access: StorageRules = NO_RULES,
    ) -> None:
        self._tasks = tasks
        self._queue = handover.queue
        self._parameters = handover.parameters
        self._new_id = new_id
        self._now = now
        self._handover = handover
        self._access = access

    async def create(self, spec: Spec, *, owner: str, key: str = "") -> TaskId:
        """
        The id, as soon as the task is on disk.

        Raises `Invalid`, `Conflict`, `Busy`, and `Denied` for files that the owner may not reach.
        """
        check(spec)
        demand_all(self._access, owner, spec)
        spec, unknown = self._understood(spec) if spec.resources.backend_parameters else (spec, ())
        task_id, now = self._new_id(), self._now()
        created = Created(task_id, now, spec, owner, self._queue)
        notes: list[Logged | Accepted] = [
            Logged(task_id, now, "backend parameter not supported", Level.WARNING, {"key": key})
            for key in unknown
        ]
        attempt, stored = Attempt(task_id, FIRST, spec), None
        if promised := self._handover.promise(attempt):
            notes.append(Accepted(task_id, now, promised.native_id))
            stored = partial(self._handover.take, attempt)
        return await self._tasks.create(created, notes=notes, key=key, stored=stored)

    def _understood(self, spec: Spec) -> tuple[Spec, tuple[str, ...]]:
        """With those parameters that the backend knows, and the others; raises `Invalid`."""
        unknown = _unknown(spec.resources, self._parameters)
        if unknown and spec.resources.backend_parameters_strict:
            raise _not_supported(unknown)
        spec = _without(spec, unknown)
        asked(spec.resources.backend_parameters)
        return spec, unknown

    async def cancel(self, task_id: TaskId, scope: Scope) -> State:
        """
        The state afterwards: CANCELED, or the one in which the task had ended before.

        Raises `NotFound` for a task that is absent or out of scope.
        """
        task = await self._tasks.get(task_id, View.MINIMAL, scope)
        canceled = StateChanged(task.id, self._now(), State.CANCELED)
        try:
            await self._tasks.append(Batch(task_id=task.id, events=(canceled,)))
        except InvalidTransition:
            return (await self._tasks.get(task_id, View.MINIMAL, scope)).state
        return State.CANCELED

    async def delete(self, task_id: TaskId) -> None:
        """Raises `NotFound`, and `InvalidTransition` for a task that has not ended."""
        await self._tasks.delete(task_id)


def _unknown(resources: Resources, known: frozenset[str]) -> tuple[str, ...]:
    return tuple(key for key in resources.backend_parameters if key.lower() not in known)


def _without(spec: Spec, unknown: tuple[str, ...]) -> Spec:
    if not unknown:
        return spec
    given = spec.resources.backend_parameters
    kept = {key: value for key, value in given.items() if key not in set(unknown)}
    return replace(spec, resources=replace(spec.resources, backend_parameters=kept))


def _not_supported(keys: Iterable[str]) -> Invalid:
    where = "resources.backend_parameters"
    problems = tuple(Problem(f"{where}.{key}", "not supported by this backend") for key in keys)
    return Invalid(f"backend parameters not supported: {', '.join(keys)}", problems)
