"""Workers in processes of their own, away from a server that may be killed."""

import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from evidence import containers
from msgspec import json
from nursery import Start
from rig import SPAWN, Asked, Rig
from running import until

from funnel.app import deployment_of
from funnel.testing.failpoints import Fault

NURSERY = Path(__file__).with_name("nursery.py")
PATH = os.pathsep.join([str(NURSERY.parent), str(NURSERY.parent.with_name("faults"))])


class Worker:
    """One `funnel worker run`; `home` has its log, its exit code and the points it has hit."""

    def __init__(self, pid: int, home: Path) -> None:
        self.pid = pid
        self.home = home

    def is_dead(self) -> bool:
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return True
        return False

    def signal(self, how: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.pid, how)

    def code(self) -> int:
        """How it has ended, once it has; -9 where it was killed."""
        until(self.is_dead)
        with suppress(FileNotFoundError):
            return int((self.home / "code").read_text())
        return -signal.SIGKILL

    def points(self) -> list[str]:
        return (self.home / "points").read_text().split("\n")[:-1]

    @property
    def log(self) -> str:
        return (self.home / "log").read_text()


class Fleet:
    """All workers have one work directory, beside that of the server, and these `flags`."""

    def __init__(self, rig: Rig, port: int, flags: Sequence[str] = ()) -> None:
        self.rig = rig
        self.port = port
        self.flags = flags
        self.work = rig.home / "away"
        self.deployment = deployment_of(self.work)
        self.workers: list[Worker] = []
        env = {**os.environ, "PYTHONPATH": PATH}
        self._nursery = subprocess.Popen([sys.executable, str(NURSERY)], env=env, **SPAWN)

    def create(self, asked: Asked) -> str:
        """The name of a task for one of the workers."""
        self.rig.create(asked)
        return str(asked.task["name"])

    def start(self, name: str, *faults: Fault, port: int = 0) -> Worker:
        """A worker for the task of this name, over this port if it is another."""
        rig, home = self.rig, self.rig.home / "workers" / str(len(self.workers))
        flags = (
            *("worker", "run", "--taskID", rig.ids[name], "--output", "json"),
            *("--RPCClient.ServerAddress", f"127.0.0.1:{port or self.port}"),
            *("--Worker.WorkDir", str(self.work), "--Worker.LogUpdateRate=100ms"),
            *("--Worker.StopGrace=1s", "--Worker.CopyInputs", "--Docker.Network=host"),
            *("--LocalStorage.AllowedDirs", f"{rig.files},{rig.inputs}"),
            *("--LocalStorage.SharedDirs", str(rig.witness)),
            *self.flags,
        )
        assert self._nursery.stdin
        assert self._nursery.stdout
        order = Start(flags=flags, home=str(home), faults=faults)
        self._nursery.stdin.write(json.encode(order).decode() + "\n")
        self._nursery.stdin.flush()
        worker = Worker(int(self._nursery.stdout.readline()), home)
        self.workers.append(worker)
        return worker

    def nothing_left(self) -> None:
        """Of all workers, which have ended."""
        assert not containers(self.deployment)
        left = [str(one) for one in self.work.rglob("*")] if self.work.exists() else []
        assert not left, left

    def logs(self) -> str:
        return "\n".join(f"--- {one.home}\n{one.log}" for one in self.workers)

    def close(self) -> None:
        for one in self.workers:
            one.signal(signal.SIGKILL)
        self._nursery.communicate()
        for name in containers(self.deployment):
            subprocess.run(["docker", "rm", "--force", "--volumes", name], check=True)
