"""One deployment that is killed and started again, its client, and all that is known of it."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from select import select
from typing import Any

import httpx
from brokers import Broker
from checker import Call, Evidence, Heard, violations
from evidence import containers, docker, gathered, running_now, told
from msgspec import json
from msgspec.structs import replace
from running import FINAL, free_port, until
from zygote import Order

from funnel.app import deployment_of
from funnel.core.value import Value
from funnel.testing.failpoints import Fault

ZYGOTE = Path(__file__).with_name("zygote.py")
INPUT = "".join(f"line {number} of the input\n" for number in range(200))
SPAWN: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
FED = "was not fed all of its standard input"
"""What no later server can make up for, when one dies while it feeds a container."""


class Asked(Value, kw_only=True):
    """A task, the files that it shall store, and whether it must be cancelled to end."""

    task: Mapping[str, Any]
    wanted: Mapping[str, str] = {}
    endless: bool = False


class Rig:
    """
    `flags` are added to those of each server; `grace` is that of the sweep, in seconds.

    Redis is told what happens, but where servers shall make no calls for that.
    """

    def __init__(self, home: Path, *flags: str, grace: float = 1.0, threads: int = 0) -> None:
        self.home = home
        self.deployment = deployment_of(home / "work")
        self.files, self.inputs, self.witness = (home / one for one in ("files", "in", "witness"))
        for folder in (self.files, self.inputs, self.witness):
            folder.mkdir(parents=True)
        (self.inputs / "text").write_text(INPUT)
        self.calls: list[Call] = []
        self.ids: dict[str, str] = {}
        self.asked: dict[str, Asked] = {}
        self.strangers: list[str] = []
        self._redis = None if threads else Broker("redis", home / "redis")
        port = free_port()
        self._order = Order(
            flags=(
                *("server", "run", "--Server.HTTPPort", str(port), "--Server.HostName=127.0.0.1"),
                *("--Server.RPCPort", "0"),
                *("--Worker.WorkDir", str(home / "work"), "--Worker.LogUpdateRate=100ms"),
                *("--Worker.StopGrace=1s", "--Worker.CopyInputs", "--Docker.Network=host"),
                *("--SQLite.Path", str(home / "funnel.db"), "--Local.Cpus=100"),
                *("--LocalStorage.AllowedDirs", f"{self.files},{self.inputs}"),
                *("--LocalStorage.SharedDirs", str(self.witness)),
                *self._telling(),
                *flags,
            ),
            home=str(home),
            grace=grace,
            threads=threads,
            silent=threads > 0,
        )
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)
        environment = {**os.environ, "FUNNEL__REDIS__PASSWORD": "testing"}
        self._zygote = subprocess.Popen([sys.executable, str(ZYGOTE)], env=environment, **SPAWN)
        self.pid = 0

    def prepare(self, *faults: Fault, delay: float = 0.2) -> int:
        """The process of a server that begins with `go`."""
        if self.pid:
            self.ended()
        order = replace(self._order, faults=faults, delay=delay)
        self._say(json.encode(order).decode())
        self.pid = int(self._hear())
        return self.pid

    def go(self) -> None:
        self._say("go")

    def start(self, *faults: Fault, delay: float = 0.2) -> None:
        self.prepare(*faults, delay=delay)
        self.go()

    def serves(self) -> bool:
        """Wait until it answers; or is dead, which is False."""
        return bool(until(lambda: self.is_dead() or self._answers())) and not self.is_dead()

    def is_dead(self) -> bool:
        assert self._zygote.stdout
        return not self.pid or bool(select([self._zygote.stdout], [], [], 0)[0])

    def ended(self) -> int:
        """The exit code of the server, once it is over."""
        code, self.pid = int(self._hear()), 0
        return code

    def signal(self, how: signal.Signals) -> int:
        """Its exit code; it may have died before."""
        assert self.pid, "there is no server"
        with suppress(ProcessLookupError):
            os.kill(self.pid, how)
        return self.ended()

    def kill(self) -> int:
        return self.signal(signal.SIGKILL)

    def create(self, asked: Asked) -> Heard:
        """Ask once; what was asked for by this name before is the same task."""
        name = asked.task["name"]
        self.asked[name] = asked
        answer = self._post("/v1/tasks", json=asked.task, headers={"Idempotency-Key": name})
        if answer and answer.is_success:
            self.ids[name] = answer.json()["id"]
        return self._noted("create", name, answer)

    def cancel(self, name: str) -> Heard:
        return self._noted("cancel", name, self._post(f"/v1/tasks/{self.ids[name]}:cancel"))

    def get(self, name: str) -> Mapping[str, Any]:
        answer = self._http.get(f"/v1/tasks/{self.ids[name]}", params={"view": "FULL"})
        return dict(answer.raise_for_status().json())

    def printed(self, name: str) -> str:
        """What is kept of the first executor's output."""
        logs = self.get(name)["logs"][-1].get("logs", [])
        return str(logs[0].get("stdout", "")) if logs else ""

    def states(self) -> Mapping[str, str]:
        """Of all tasks, by their names."""
        answer = self._http.get("/v1/tasks", params={"view": "BASIC", "page_size": 2000})
        return {one["name"]: one["state"] for one in answer.raise_for_status().json()["tasks"]}

    def states_now(self) -> Mapping[str, str]:
        """As `states`; of a server that does not answer there is one that is unknown."""
        with suppress(httpx.TransportError, httpx.HTTPStatusError):
            return self.states()
        return {"": "UNKNOWN"}

    def counts(self) -> None:
        """Ask for the metrics."""
        self._http.get("/metrics").raise_for_status()

    def has_begun(self, name: str) -> bool:
        """Whether its first container has said so, or it is over without one."""
        return (self.witness / name).exists() or self.states_now().get(name) in FINAL

    def all_over(self) -> bool:
        """All tasks, as far as the server answers at all."""
        return set(self.states_now().values()) <= set(FINAL)

    def cancel_endless(self) -> None:
        """Those of servers before, too, which may have died before they were told."""
        for name in self._endless():
            if name not in self.ids:
                self.create(self.asked[name])
            self.cancel(name)

    def _endless(self) -> Sequence[str]:
        told = {one.name for one in self.calls if one.what == "cancel" and one.heard is Heard.OK}
        return [name for name, one in self.asked.items() if one.endless and name not in told]

    def come_to_an_end(self) -> None:
        """Wait until the server is dead, or all tasks are over; who waits in vain is told more."""
        try:
            until(lambda: self.is_dead() or self.all_over())
        except TimeoutError as error:
            error.add_note(f"{self.states_now()}\n{(self.home / 'server.log').read_text()[-8000:]}")
            raise

    def heal(self) -> None:
        """Let a server without faults bring everything to its end, and stop it."""
        if self.pid:
            self.signal(signal.SIGTERM)
        self.start()
        assert self.serves(), (self.home / "server.log").read_text()
        for name, asked in self.asked.items():
            if name not in self.ids:
                self.create(asked)
        self.cancel_endless()
        until(self.all_over)
        until(lambda: not containers(self.deployment))
        until(lambda: not any((self.home / "work").iterdir()))
        until(self._has_told)
        assert self.signal(signal.SIGTERM) in (0, -signal.SIGTERM)

    def evidence(self) -> Evidence:
        return gathered(
            self.home,
            self.deployment,
            calls=tuple(self.calls),
            wanted={name: asked.wanted for name, asked in self.asked.items()},
            strangers=frozenset(self.strangers),
            others=running_now(self.strangers),
            told=told(self._redis.address) if self._redis else None,
        )

    def healed(self) -> Evidence:
        """The evidence after `heal`, in which nothing may be wrong."""
        self.heal()
        evidence = self.evidence()
        if wrong := violations(evidence):
            log = (self.home / "server.log").read_text()
            raise AssertionError("\n".join(f"{one.law}: {one.about}" for one in wrong) + "\n" + log)
        return evidence

    def points(self) -> list[str]:
        """Those that were hit, in order."""
        return (self.home / "points").read_text().split("\n")[:-1]

    def close(self) -> None:
        if self.pid:
            self.signal(signal.SIGKILL)
        self._zygote.communicate()
        self._http.close()
        if self._redis:
            self._redis.stop()
        for name in (*containers(self.deployment), *self.strangers):
            docker("rm", "--force", "--volumes", name)

    def _telling(self) -> Sequence[str]:
        """The flags by which Redis, which is started, is told what happens."""
        if not self._redis:
            return ()
        self._redis.home.mkdir()
        self._redis.start()
        return "--EventWriters", "redis", "--Redis.URL", f"redis://{self._redis.address}"

    def _has_told(self) -> bool:
        """Whether all that happened is told, and marked as that."""
        if not self._redis:
            return True
        with closing(sqlite3.connect(f"file:{self.home}/funnel.db?mode=ro", uri=True)) as db:
            (happened,) = db.execute("SELECT coalesce(max(position), 0) FROM event").fetchone()
            (marked,) = db.execute("SELECT max(position) FROM reader").fetchone()
        return bool(marked == happened)

    def _answers(self) -> bool:
        with suppress(httpx.TransportError):
            return self._http.get("/healthz").is_success
        return False

    def _post(self, path: str, **given: Any) -> httpx.Response | None:
        """None where nobody knows whether it was done."""
        with suppress(httpx.TransportError):
            return self._http.post(path, **given)
        return None

    def _noted(self, what: str, name: str, answer: httpx.Response | None) -> Heard:
        heard = Heard.UNKNOWN
        if answer:
            heard = Heard.OK if answer.is_success else Heard.FAILED
        self.calls.append(Call(what=what, name=name, heard=heard, task_id=self.ids.get(name, "")))
        return heard

    def _say(self, line: str) -> None:
        assert self._zygote.stdin
        self._zygote.stdin.write(f"{line}\n")
        self._zygote.stdin.flush()

    def _hear(self) -> str:
        assert self._zygote.stdout
        return self._zygote.stdout.readline()
