"""Everybody who may come to a server, its tasks, and tables of what they are answered."""

from base64 import b64encode
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from doors import tasks_of

from funnel.auth.keys import Keys
from funnel.auth.passwords import Passwords
from funnel.auth.settings import BasicCredential
from funnel.auth.tokens import Tokens
from funnel.auth.users import Users
from funnel.core.access import Caller, ForeignTask, TaskAccess
from funnel.core.secret import Secret
from funnel.core.task import Executor, Spec, TaskId
from funnel.database.sqlite import Settings, make
from funnel.plugins import Host
from funnel.ports import Database
from funnel.service.callers import Callers
from funnel.service.pace import Pace
from funnel.service.tasks import TaskService
from funnel.testing.build import EPOCH

R = TypeVar("R")

USERS: Final = (
    BasicCredential(user="alice", password=Secret("pike")),
    BasicCredential(user="bob", password=Secret("carp")),
    BasicCredential(user="admin", password=Secret("eel"), admin=True),
)
TOKENS: Final = Tokens(Keys(b"k" * 32), lambda: EPOCH)
LASTS: Final = timedelta(minutes=5)
CALLERS: Final[Mapping[str, Callable[[str], Mapping[str, str]]]] = {
    "none": lambda _: {},
    "wrong": lambda _: _basic("alice", "carp"),
    "expired": lambda task_id: _bearer(TOKENS.of_worker(TaskId(task_id), 1, -LASTS)),
    "alice": lambda _: _basic("alice", "pike"),
    "bob": lambda _: _basic("bob", "carp"),
    "admin": lambda _: _basic("admin", "eel"),
    "worker": lambda task_id: _bearer(TOKENS.of_worker(TaskId(task_id), 1, LASTS)),
    "node": lambda _: _bearer(TOKENS.of_node("n1", LASTS)),
}
"""What each says of itself; a worker says it of its own task."""
TARGETS: Final = ("own", "foreign", "absent")
FOREIGN: Final = {"alice": "bob", "bob": "alice", "admin": "alice"}
ABSENT: Final = "dc37v9a0o4865r2674cg"
SPEC: Final = Spec(executors=(Executor(image="alpine", command=("true",)),))


class Known(NamedTuple):
    """What is behind a door, and who is let in."""

    database: Database
    tasks: TaskService
    callers: Callers

    async def tasks_for(self, caller: str) -> Mapping[str, TaskId]:
        """
        New ones for each question, since some change them; who has none is given alice's.

        They have ended: they can be deleted, and their streams come to an end.
        """
        owner = caller if caller in FOREIGN else "alice"
        own, foreign = await self._made(owner), await self._made(FOREIGN[owner])
        return {"own": own, "foreign": foreign, "absent": TaskId(ABSENT)}

    async def _made(self, owner: str) -> TaskId:
        whose = Caller(name=owner)
        made = await self.tasks.create(Spec(executors=SPEC.executors, name=owner), whose)
        await self.tasks.cancel(made, whose)
        return made


@asynccontextmanager
async def known(home: Path, access: TaskAccess, foreign: ForeignTask) -> AsyncGenerator[Known]:
    users = Users(USERS, Passwords({one.user: one.password.reveal() for one in USERS}))
    host = Host(now=lambda: EPOCH, deployment="test")
    # So much time goes by between two requests that wrong logins are not too many.
    pace = Pace(clock=count(step=60.0).__next__)
    async with make(Settings(path=f"{home}/funnel.db"), host) as database:
        tasks = tasks_of(database, access, foreign)
        yield Known(database, tasks, Callers([users], TOKENS, pace))


async def table(rows: Iterable[tuple[str, R]], cell: Callable[[R, str], Awaitable[str]]) -> str:
    """A line for each row, by its name, and a column for each caller."""
    lines = [("", *CALLERS)]
    for name, row in rows:
        lines.append((name, *[await cell(row, caller) for caller in CALLERS]))
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "".join(
        " ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip()
        + "\n"
        for line in lines
    )


def whose(names: Sequence[str]) -> str:
    """Everybody's tasks were shown, or whose alone."""
    found = set(names) & FOREIGN.keys()
    return "all" if len(found) > 1 else "".join(found) or "nothing"


def _basic(user: str, password: str) -> Mapping[str, str]:
    return {"authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def _bearer(token: Secret) -> Mapping[str, str]:
    return {"authorization": f"Bearer {token.reveal()}"}
