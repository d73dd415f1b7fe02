"""Who is asking, what they may do, and whose tasks they see."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from funnel.core.error import Denied
from funnel.core.query import EVERYONE, Scope
from funnel.core.task import TaskId
from funnel.core.value import Value


class Kind(StrEnum):
    """Users have the user plane; workers and nodes have another, and none of this one."""

    USER = "user"
    WORKER = "worker"
    NODE = "node"


class Caller(Value, kw_only=True):
    """
    Somebody whose credentials are right.

    A user's `name` owns what the user creates. A worker is let in for one attempt, `fence` of
    `task_id`. A node's `name` is the only one it may speak for.
    """

    name: str
    kind: Kind = Kind.USER
    administrator: bool = False
    task_id: TaskId = TaskId("")
    fence: int = 0


ANYONE: Final = Caller(name="", administrator=True)
"""Everybody, where there are no accounts."""


class TaskAccess(StrEnum):
    """Whose tasks a user may see and cancel (the reference's `Server.TaskAccess`)."""

    ALL = "All"
    OWNER = "Owner"
    OWNER_OR_ADMIN = "OwnerOrAdmin"


class ForeignTask(StrEnum):
    """What is said about a task that the user may not see: as of one that is not there, or so."""

    NOT_FOUND = "NotFound"
    DENIED = "Denied"


class Operation(StrEnum):
    """All that can be asked of a server; what is not here cannot be asked."""

    CREATE_TASK = "create a task"
    GET_TASK = "see a task"
    LIST_TASKS = "list tasks"
    CANCEL_TASK = "cancel a task"
    DELETE_TASK = "delete a task"
    FOLLOW_TASKS = "follow tasks"
    SERVICE_INFO = "see the service"
    METRICS = "see the metrics"
    LIST_NODES = "list nodes"
    WRITE_EVENT = "write events"
    WORK = "work on a task"
    RUN_NODE = "run a node"


class Role(StrEnum):
    """What a caller is to the table of operations."""

    USER = "user"
    ADMINISTRATOR = "administrator"
    WORKER = "worker"
    NODE = "node"


_USERS: Final = frozenset({Role.USER, Role.ADMINISTRATOR})
_WORKERS: Final = frozenset({Role.WORKER, Role.ADMINISTRATOR})

ALLOWED: Final[Mapping[Operation, frozenset[Role]]] = {
    Operation.CREATE_TASK: _USERS,
    Operation.GET_TASK: _USERS,
    Operation.LIST_TASKS: _USERS,
    Operation.CANCEL_TASK: _USERS,
    Operation.DELETE_TASK: frozenset({Role.ADMINISTRATOR}),
    Operation.FOLLOW_TASKS: _USERS,
    Operation.SERVICE_INFO: _USERS,
    Operation.METRICS: _USERS,
    Operation.LIST_NODES: _USERS,
    Operation.WRITE_EVENT: _WORKERS,
    Operation.WORK: _WORKERS,
    Operation.RUN_NODE: frozenset({Role.NODE, Role.ADMINISTRATOR}),
}
"""Nothing is allowed that has no row here."""


_ROLES: Final = {kind: Role(kind) for kind in Kind}


def demand(caller: Caller, operation: Operation) -> None:
    """Raises `Denied` where the caller may never do this, whatever the task."""
    allowed = ALLOWED[operation]
    if role_of(caller) not in allowed:
        who = " and ".join(sorted(f"{one}s" for one in allowed))
        raise Denied(f"only {who} may {operation}")


def role_of(caller: Caller) -> Role:
    if caller.kind is Kind.USER and caller.administrator:
        return Role.ADMINISTRATOR
    return _ROLES[caller.kind]


def scope_of(caller: Caller, access: TaskAccess) -> Scope:
    """Whose tasks a user sees: with `OWNER` not even administrators see those of others."""
    if access is TaskAccess.ALL:
        return EVERYONE
    if access is TaskAccess.OWNER_OR_ADMIN and caller.administrator:
        return EVERYONE
    return Scope(caller.name)


def demand_attempt(caller: Caller, task_id: TaskId, fence: int | None = None) -> None:
    """Raises `Denied` for a worker that was let in for another task, or for another attempt."""
    if caller.kind is not Kind.WORKER:
        return
    if caller.task_id != task_id or fence not in (None, caller.fence):
        raise Denied("this worker was let in for another attempt")
