"""What may be asked about tasks: the same for every door, and decided here on whose behalf."""

from collections.abc import Callable
from typing import Protocol

from funnel.core.access import Caller, ForeignTask, Operation, TaskAccess, demand, scope_of
from funnel.core.error import Denied, NotFound
from funnel.core.query import EVERYONE, Listing, Query, Scope, View
from funnel.core.state import State
from funnel.core.task import Spec, Task, TaskId
from funnel.ports import Documents, Tasks
from funnel.service.audit import audit
from funnel.service.submit import Submit


class Known(Tasks, Documents, Protocol):
    """Where tasks are read."""


class TaskService:
    """Every call raises `Denied` for a caller who may never make it."""

    def __init__(
        self,
        submit: Submit,
        known: Known,
        access: TaskAccess,
        foreign: ForeignTask = ForeignTask.NOT_FOUND,
    ) -> None:
        self._submit = submit
        self._known = known
        self._access = access
        self._foreign = foreign

    def scope(self, caller: Caller, operation: Operation) -> Scope:
        """Whose tasks the caller may do this with."""
        demand(caller, operation)
        return scope_of(caller, self._access)

    async def scope_for(self, task_id: TaskId, caller: Caller, operation: Operation) -> Scope:
        """
        In which the task is looked for; what is not in it is not found.

        Raises `Denied` for somebody else's task where that is to be told from one that is absent.
        """
        scope = self.scope(caller, operation)
        if scope != EVERYONE and self._foreign is ForeignTask.DENIED:
            await self._deny(task_id, scope)
        return scope

    async def _deny(self, task_id: TaskId, scope: Scope) -> None:
        try:
            await self._known.get(task_id, View.MINIMAL, scope)
        except NotFound:
            await self._known.get(task_id, View.MINIMAL, EVERYONE)
            raise Denied("this task is somebody else's") from None

    async def create(self, spec: Spec, caller: Caller, *, key: str = "") -> TaskId:
        """The id, as soon as the task is on disk. Raises `Invalid`, `Conflict`, `Busy`."""
        demand(caller, Operation.CREATE_TASK)
        try:
            return await self._submit.create(spec, owner=caller.name, key=key)
        except Denied as error:
            audit("refused a task", user=caller.name, why=error)
            raise

    async def get(self, task_id: TaskId, view: View, caller: Caller) -> Task:
        """Raises `NotFound` for a task that is absent or somebody else's, alike."""
        scope = await self.scope_for(task_id, caller, Operation.GET_TASK)
        return await self._known.get(task_id, view, scope)

    async def show(self, task_id: TaskId, view: View, caller: Caller) -> bytes:
        """The same as TES JSON."""
        scope = await self.scope_for(task_id, caller, Operation.GET_TASK)
        return await self._known.show(task_id, view, scope)

    async def list_tasks(self, ask: Callable[[Scope], Query], caller: Caller) -> Listing:
        """`ask` makes the query of a scope, so that no door chooses the scope itself."""
        return await self._known.list_tasks(ask(self.scope(caller, Operation.LIST_TASKS)))

    async def cancel(self, task_id: TaskId, caller: Caller) -> State:
        """The state afterwards; CANCELED, or that in which the task had ended before."""
        scope = await self.scope_for(task_id, caller, Operation.CANCEL_TASK)
        state = await self._submit.cancel(task_id, scope)
        if await self._is_foreign(task_id, caller):
            audit("canceled somebody else's task", user=caller.name, task=task_id)
        return state

    async def _is_foreign(self, task_id: TaskId, caller: Caller) -> bool:
        if not caller.name:
            return False
        try:
            await self._known.get(task_id, View.MINIMAL, Scope(caller.name))
        except NotFound:
            return True
        return False

    async def delete(self, task_id: TaskId, caller: Caller) -> None:
        """Raises `NotFound`, and `InvalidTransition` for a task that has not ended."""
        scope = await self.scope_for(task_id, caller, Operation.DELETE_TASK)
        if scope != EVERYONE:
            await self._known.get(task_id, View.MINIMAL, scope)
        await self._submit.delete(task_id)
        audit("deleted a task", user=caller.name, task=task_id)
