"""Whatever clients ask of the HTTP door, in any order, it answers as a few dictionaries would."""

import asyncio
import shutil
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from doors import client, door
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from funnel.database.sqlite import PLUGIN, Settings
from funnel.plugins import Host
from funnel.testing.build import EPOCH

STEP = {"image": "alpine", "command": ["true"]}
MEMORY = Path("/dev/shm")
PREFIX = st.sampled_from(("", "/v1", "/ga4gh/tes/v1", "/v1/"))
NAMES = ("", "a", "ab", "%", "'--")
VALUES = ("", "1", "é&=")

GONE = 5
PLACES = st.sampled_from(range(GONE + 1))
tags = st.dictionaries(st.sampled_from(("x", "y")), st.sampled_from(VALUES), max_size=2)
filters = st.fixed_dictionaries(
    {},
    optional={
        "state": st.sampled_from(("QUEUED", "CANCELED", "COMPLETE", "UNKNOWN")),
        "name_prefix": st.sampled_from(NAMES),
        "tag": st.tuples(st.sampled_from(("x", "y")), st.sampled_from(VALUES)),
    },
)


class DoorMachine(RuleBasedStateMachine):
    http: httpx.AsyncClient

    @initialize()
    def begin(self) -> None:
        self.tasks: dict[str, dict[str, Any]] = {}
        self.keys: dict[str, tuple[str, dict[str, Any]]] = {}
        self.known = ["nothing"]
        self.home = tempfile.mkdtemp(dir=MEMORY if MEMORY.is_dir() else None)
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.runner.run(self.open())

    async def open(self) -> None:
        at = Settings(path=f"{self.home}/funnel.db", min_free=0)
        host = Host(now=lambda: EPOCH, deployment="test")
        database = await self.stack.enter_async_context(PLUGIN.make(at, host))
        self.http = await self.stack.enter_async_context(client(door(database)))

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()
        shutil.rmtree(self.home)

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        return self.runner.run(self.http.request(method, path, **given))

    def one(self, which: int) -> str:
        """A task that is there, the newest by 0, or now and then one that is not."""
        there = [*self.tasks]
        return there[-1 - which % len(there)] if there and which < GONE else self.known[-1]

    @rule(
        prefix=PREFIX,
        name=st.sampled_from(NAMES),
        tags=tags,
        key=st.sampled_from(("", "", "k", "l")),
        sound=st.sampled_from((True, True, True, False)),
    )
    def create(
        self, prefix: str, name: str, tags: dict[str, str], key: str, *, sound: bool
    ) -> None:
        asked = {"executors": [STEP] if sound else [], "name": name, "tags": tags}
        given = {"Idempotency-Key": key} if key else {}
        answer = self.ask("POST", f"{prefix}/tasks", json=asked, headers=given)
        if not sound:
            assert answer.status_code == 400
            return
        task_id, before = self.keys.get(key, ("", asked))
        if task_id in self.tasks and before != asked:
            assert answer.status_code == 409
            return
        assert answer.status_code == 200
        made = answer.json()["id"]
        if task_id:
            assert made == task_id
            return
        assert made not in self.known
        self.known.append(made)
        self.tasks[made] = {"id": made, "state": "QUEUED", **asked}
        if key:
            self.keys[key] = (made, asked)

    @rule(prefix=PREFIX, which=PLACES, view=st.sampled_from(("MINIMAL", "BASIC", "FULL")))
    def get(self, prefix: str, which: int, view: str) -> None:
        task_id = self.one(which)
        answer = self.ask("GET", f"{prefix}/tasks/{task_id}", params={"view": view})
        if task_id not in self.tasks:
            assert answer.status_code == 404
            return
        assert answer.status_code == 200
        compare(answer.json(), self.tasks[task_id], view)

    @rule(prefix=PREFIX, which=PLACES)
    def cancel(self, prefix: str, which: int) -> None:
        task_id = self.one(which)
        answer = self.ask("POST", f"{prefix}/tasks/{task_id}:cancel")
        assert answer.status_code == (200 if task_id in self.tasks else 404)
        if task_id in self.tasks:
            self.tasks[task_id]["state"] = "CANCELED"

    @rule(prefix=PREFIX, which=PLACES)
    def delete(self, prefix: str, which: int) -> None:
        task_id = self.one(which)
        answer = self.ask("DELETE", f"{prefix}/tasks/{task_id}")
        if task_id not in self.tasks:
            assert answer.status_code == 404
        elif self.tasks[task_id]["state"] == "QUEUED":
            assert answer.status_code == 409
        else:
            assert answer.status_code == 200
            del self.tasks[task_id]

    @rule(
        prefix=PREFIX,
        which=filters,
        size=st.integers(1, 4),
        view=st.sampled_from(("MINIMAL", "BASIC", "FULL")),
    )
    def list_tasks(self, prefix: str, which: dict[str, Any], size: int, view: str) -> None:
        params = {key: value for key, value in which.items() if key != "tag"}
        if "tag" in which:
            params["tag_key"], params["tag_value"] = which["tag"]
        found: list[dict[str, Any]] = []
        token = ""
        while True:
            paged = {**params, "page_size": size, "page_token": token, "view": view}
            page = self.ask("GET", f"{prefix}/tasks", params=paged).json()
            assert len(page["tasks"]) <= size
            found += page["tasks"]
            token = page.get("next_page_token", "")
            if not token:
                break
        wanted = [task for task in reversed(self.tasks.values()) if matches(task, which)]
        assert [task["id"] for task in found] == [task["id"] for task in wanted]
        for one, task in zip(found, wanted, strict=True):
            compare(one, task, view)


def compare(answer: dict[str, Any], task: dict[str, Any], view: str) -> None:
    if view == "MINIMAL":
        assert answer == {"id": task["id"], "state": task["state"]}
        return
    assert answer["logs"]
    for name in ("id", "state", "executors"):
        assert answer[name] == task[name]
    assert answer.get("name", "") == task["name"]
    assert answer.get("tags", {}) == task["tags"]


def matches(task: dict[str, Any], which: dict[str, Any]) -> bool:
    key, value = which.get("tag", ("", ""))
    return (
        which.get("state", "UNKNOWN") in ("UNKNOWN", task["state"])
        and task["name"].startswith(which.get("name_prefix", ""))
        and (not key or (key in task["tags"] and value in ("", task["tags"][key])))
    )


TestDoor = pytest.mark.timeout(240)(DoorMachine.TestCase)
TestDoor.settings = settings(
    max_examples=60,
    stateful_step_count=50,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
