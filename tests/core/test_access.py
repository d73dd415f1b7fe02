"""Who may do what, and whose tasks they see."""

import pytest

from funnel.core.access import (
    ALLOWED,
    ANYONE,
    Caller,
    Kind,
    Operation,
    Role,
    TaskAccess,
    demand,
    demand_attempt,
    role_of,
    scope_of,
)
from funnel.core.error import Denied
from funnel.core.query import EVERYONE, Scope
from funnel.core.task import TaskId

ALICE = Caller(name="alice")
BOSS = Caller(name="boss", administrator=True)
WORKER = Caller(name="", kind=Kind.WORKER, task_id=TaskId("t1"), fence=2)
NODE = Caller(name="n1", kind=Kind.NODE)


def test_every_operation_has_a_row() -> None:
    assert ALLOWED.keys() == set(Operation)


@pytest.mark.parametrize("operation", Operation)
@pytest.mark.parametrize("caller", [ALICE, BOSS, WORKER, NODE])
def test_who_has_no_place_in_the_row_is_denied(operation: Operation, caller: Caller) -> None:
    if role_of(caller) in ALLOWED[operation]:
        demand(caller, operation)
        return
    with pytest.raises(Denied, match=f"may {operation}$"):
        demand(caller, operation)


def test_the_planes_have_nothing_in_common() -> None:
    """But for administrators, who may stand in for both."""
    rows = [row - {Role.ADMINISTRATOR} for row in ALLOWED.values()]
    assert all(len(row) <= 1 for row in rows)


@pytest.mark.parametrize(
    ("caller", "access", "scope"),
    [
        (ALICE, TaskAccess.ALL, EVERYONE),
        (ALICE, TaskAccess.OWNER, Scope("alice")),
        (ALICE, TaskAccess.OWNER_OR_ADMIN, Scope("alice")),
        (BOSS, TaskAccess.ALL, EVERYONE),
        (BOSS, TaskAccess.OWNER, Scope("boss")),
        (BOSS, TaskAccess.OWNER_OR_ADMIN, EVERYONE),
        (ANYONE, TaskAccess.OWNER, Scope("")),
    ],
)
def test_scopes(caller: Caller, access: TaskAccess, scope: Scope) -> None:
    assert scope_of(caller, access) == scope


def test_a_worker_speaks_for_one_attempt_only() -> None:
    demand_attempt(WORKER, TaskId("t1"), 2)
    demand_attempt(WORKER, TaskId("t1"))
    demand_attempt(BOSS, TaskId("t1"), 7)
    for task_id, fence in (("t1", 1), ("t1", 3), ("t2", 2)):
        with pytest.raises(Denied):
            demand_attempt(WORKER, TaskId(task_id), fence)
