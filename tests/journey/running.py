"""A real server as its users start it, on a free port with folders of its own."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

FINAL = ("COMPLETE", "EXECUTOR_ERROR", "SYSTEM_ERROR", "CANCELED")
PATIENCE = 60.0


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def until(happens: Callable[[], Any], *, within: float = PATIENCE) -> Any:
    """Look again and again, until what is looked for is there."""
    end = time.monotonic() + within
    while time.monotonic() < end:
        if found := happens():
            return found
        time.sleep(0.02)
    raise TimeoutError(f"did not happen within {within} s")


class Server:
    """`funnel server run` in a process of its own, and a client for it."""

    def __init__(self, home: Path, flags: Sequence[str] = ()) -> None:
        self.home = home
        self.port = free_port()
        self.rpc_port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.flags = flags
        self.under: list[str] = []
        self.database = home / "funnel.db"
        self.http = httpx.Client(base_url=self.url, timeout=30)
        self.files = home / "files"
        self.files.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        argv = [
            *self.under,
            *(sys.executable, "-m", "funnel", "server", "run"),
            *("--Server.HTTPPort", str(self.port), "--Server.HostName", "127.0.0.1"),
            *("--Server.RPCPort", str(self.rpc_port)),
            *("--Worker.WorkDir", str(self.home / "work"), "--Worker.LogUpdateRate", "100ms"),
            *("--SQLite.Path", str(self.database)),
            *("--LocalStorage.AllowedDirs", str(self.files)),
            *self.flags,
        ]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(argv, cwd=self.home, stdout=log, stderr=log)
        until(self.answers)

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    def answers(self) -> bool:
        if self.process.poll() is not None:
            raise RuntimeError(self.log.read_text())
        try:
            return self.http.get("/healthz").status_code == 200
        except httpx.TransportError:
            return False

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)

    def create(self, *commands: Sequence[str], image: str = "alpine", **given: Any) -> str:
        executors = [{"image": image, "command": list(command)} for command in commands]
        return self.create_task({"executors": executors, **given})

    def create_task(self, task: Mapping[str, Any]) -> str:
        answer = self.http.post("/v1/tasks", json=task)
        assert answer.status_code == 200, answer.text
        made: str = answer.json()["id"]
        return made

    def get(self, task_id: str, view: str = "FULL") -> dict[str, Any]:
        answer = self.http.get(f"/v1/tasks/{task_id}", params={"view": view})
        assert answer.status_code == 200, answer.text
        task: dict[str, Any] = answer.json()
        return task

    def state(self, task_id: str) -> str:
        return str(self.get(task_id, "MINIMAL")["state"])

    def tasks_kept(self) -> int:
        """How many the server counts, whatever their states."""
        page = self.http.get("/metrics").text
        counts = (line for line in page.splitlines() if line.startswith("funnel_tasks_state_count"))
        return round(sum(float(line.split()[1]) for line in counts))

    def cancel(self, task_id: str) -> None:
        answer = self.http.post(f"/v1/tasks/{task_id}:cancel")
        assert answer.status_code == 200, answer.text

    def wait(self, task_id: str) -> dict[str, Any]:
        until(lambda: self.state(task_id) in FINAL)
        return self.get(task_id)

    def run(self, *commands: Sequence[str], **given: Any) -> dict[str, Any]:
        return self.wait(self.create(*commands, **given))

    def cli(self, *words: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "funnel", *words],
            check=False,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            cwd=self.files,
            env={**os.environ, "FUNNEL_SERVER": self.url},
        )


def containers(task_id: str, *, host: str = "") -> list[dict[str, Any]]:
    """What the engine itself says about the containers of a task."""
    said = subprocess.run(
        [
            "docker",
            "ps",
            "--all",
            "--format",
            "{{json .}}",
            "--filter",
            f"label=funnel.task={task_id}",
        ],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | ({"DOCKER_HOST": host} if host else {}),
    )
    return [json.loads(line) for line in said.stdout.splitlines()]
