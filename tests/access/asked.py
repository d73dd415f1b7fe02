"""Everybody asks everything: what a server answers, as a table."""

from base64 import b64encode
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Final, NamedTuple

import httpx
from doors import client, door, tasks_of

from funnel.api.http import HttpDoor
from funnel.auth.keys import Keys
from funnel.auth.passwords import Passwords
from funnel.auth.settings import BasicCredential
from funnel.auth.tokens import Tokens
from funnel.auth.users import Users
from funnel.core.access import ForeignTask, TaskAccess
from funnel.core.secret import Secret
from funnel.core.task import TaskId
from funnel.database.sqlite import Settings, make
from funnel.plugins import Host
from funnel.service.callers import Callers
from funnel.service.pace import Pace
from funnel.testing.build import EPOCH

STEP: Final = {"image": "alpine", "command": ["true"]}
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


class Row(NamedTuple):
    method: str
    template: str
    target: str

    @property
    def name(self) -> str:
        return f"{self.method:<6} {self.template:<21} {self.target:<8}"


class Asked:
    """One server with tasks of everybody's, and one client for everybody."""

    def __init__(self, http: httpx.AsyncClient, app: HttpDoor) -> None:
        self._http = http
        self.rows = [
            Row(method, template, target)
            for template, methods in sorted(app.routes.items())
            for method in sorted(methods)
            for target in (TARGETS if "{id}" in template else ("",))
        ]

    async def table(self) -> str:
        """A line for each row, a column for each caller."""
        heads = " ".join(f"{name:<8}" for name in CALLERS)
        lines = [f"{'':<38}{heads}".rstrip()]
        for row in self.rows:
            cells = [await self.cell(row, caller) for caller in CALLERS]
            lines.append(f"{row.name} {' '.join(f'{cell:<8}' for cell in cells)}".rstrip())
        return "\n".join(lines) + "\n"

    async def cell(self, row: Row, caller: str) -> str:
        """The status; with it whose tasks are shown, where there are several."""
        tasks = await self._tasks(caller)
        path = row.template.replace("{id}", tasks.get(row.target, ABSENT))
        body = {"executors": [STEP]} if row == Row("POST", "/tasks", "") else None
        said = CALLERS[caller](tasks["own"])
        asked = self._http.build_request(
            row.method, path, json=body, params=_params(row), headers=said
        )
        answer = await self._http.send(asked, stream=True)
        try:
            seen = await _seen(row, answer) if answer.status_code == 200 else ""
        finally:
            await answer.aclose()
        return f"{answer.status_code}{seen}"

    async def _tasks(self, caller: str) -> Mapping[str, str]:
        """New ones for each question, since some change them; who has none is given alice's."""
        owner = caller if caller in FOREIGN else "alice"
        return {"own": await self._made(owner), "foreign": await self._made(FOREIGN[owner])}

    async def _made(self, owner: str) -> str:
        """Ended at once: a task that can be deleted, and whose streams come to an end."""
        said = CALLERS[owner]("")
        task = {"name": owner, "executors": [STEP]}
        made = (await self._http.post("/tasks", json=task, headers=said)).json()["id"]
        assert (await self._http.post(f"/tasks/{made}:cancel", headers=said)).status_code == 200
        return str(made)


@asynccontextmanager
async def asking(
    home: Path, access: TaskAccess, foreign: ForeignTask = ForeignTask.NOT_FOUND
) -> AsyncGenerator[Asked]:
    users = Users(USERS, Passwords({one.user: one.password.reveal() for one in USERS}))
    host = Host(now=lambda: EPOCH, deployment="test")
    async with make(Settings(path=f"{home}/funnel.db"), host) as database:
        tasks = tasks_of(database, access, foreign)
        # So much time goes by between two requests that wrong logins are not too many.
        pace = Pace(clock=count(step=60.0).__next__)
        app = door(database, callers=Callers([users], TOKENS, pace), tasks=tasks)
        async with client(app) as http:
            yield Asked(http, app)


def _basic(user: str, password: str) -> Mapping[str, str]:
    return {"Authorization": f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"}


def _bearer(token: Secret) -> Mapping[str, str]:
    return {"Authorization": f"Bearer {token.reveal()}"}


def _params(row: Row) -> dict[str, str]:
    """All that there is, told now."""
    return {"/events": {"after": "0"}, "/tasks": {"view": "BASIC"}}.get(row.template, {})


async def _seen(row: Row, answer: httpx.Response) -> str:
    if row == Row("GET", "/tasks", ""):
        await answer.aread()
        names = [task.get("name", "") for task in answer.json()["tasks"]]
    elif row.template == "/events":
        names = [name async for name in _told(answer)]
    else:
        return ""
    return _whose(names)


async def _told(answer: httpx.Response) -> AsyncGenerator[str]:
    async for line in answer.aiter_lines():
        if line == ": still here":
            return
        for name in FOREIGN:
            if f'"owner":"{name}"' in line:
                yield name


def _whose(names: Sequence[str]) -> str:
    """All, or whose alone."""
    found = set(names) & FOREIGN.keys()
    return " all" if len(found) > 1 else f" {''.join(found) or 'none'}"
