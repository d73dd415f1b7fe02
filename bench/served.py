"""A server as its users start it, to be measured from outside."""

import base64
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from google.protobuf.message import Message

from bench.measure import Pace

TICK = os.sysconf("SC_CLK_TCK")
FINAL = frozenset({"COMPLETE", "EXECUTOR_ERROR", "SYSTEM_ERROR", "CANCELED"})
MIB = 1 << 20
COUNT = re.compile(r'\w*tasks_state_count\{state="(?P<state>\w+)"\} (?P<tasks>\S+)')


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """A load, and what it cost the server: seconds of processor time an answer."""

    rate: float
    p50: float
    p99: float
    bad: int
    own_cpu: float
    answers: int
    cost: float = 0.0


@dataclass(frozen=True, slots=True)
class Served:
    port: int
    folder: Path
    process: subprocess.Popen[bytes]
    rpc_port: int

    def client(self) -> httpx.Client:
        """To be made before anything is timed: what it needs for TLS takes it some 20 ms."""
        return httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    def cpu(self) -> float:
        """Seconds of processor time so far, of all its threads."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(") ")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self) -> Mapping[str, int]:
        """Bytes by the kernel's names, Rss and Pss among them."""
        return _kilobytes(Path(f"/proc/{self.process.pid}/smaps_rollup"))

    def peak(self) -> int:
        """The most bytes that it held since `forget_peak`."""
        return _kilobytes(Path(f"/proc/{self.process.pid}/status"))["VmHWM"]

    def forget_peak(self) -> None:
        Path(f"/proc/{self.process.pid}/clear_refs").write_text("5")

    def load(self, clients: int, requests: Sequence[str], pace: Pace) -> Sequence[Ran]:
        return [self._load(clients, requests, pace.seconds) for _ in range(pace.repeats)]

    def calls(self, clients: int, requests: Sequence[str], pace: Pace) -> Sequence[Ran]:
        """Over gRPC."""
        return [
            self._load(clients, requests, pace.seconds, over="calls") for _ in range(pace.repeats)
        ]

    def _load(
        self, clients: int, requests: Sequence[str], seconds: float, over: str = "load"
    ) -> Ran:
        before = self.cpu()
        port = self.rpc_port if over == "calls" else self.port
        ran = load(port, clients, requests, seconds, over=over)
        return Ran(**ran, cost=(self.cpu() - before) / ran["answers"])


def load(
    port: int,
    clients: int,
    requests: Sequence[str],
    seconds: float = 60,
    *,
    endless: bool = True,
    over: str = "load",
) -> dict[str, Any]:
    """Run `load.py`, or `calls.py`, in a process of its own."""
    asked = {"port": port, "clients": clients, "seconds": seconds, "endless": endless}
    told = subprocess.run(
        [sys.executable, "-m", f"bench.{over}"],
        check=True,
        input=json.dumps({**asked, "requests": requests}).encode(),
        stdout=subprocess.PIPE,
        timeout=seconds + 60,
    )
    ran: dict[str, Any] = json.loads(told.stdout)
    return ran


def get(path: str) -> str:
    return f"GET /v1{path} HTTP/1.1\r\nHost: x\r\n\r\n"


def post(path: str, body: object) -> str:
    text = json.dumps(body)
    return f"POST /v1{path} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(text)}\r\n\r\n{text}"


def call(path: str, message: Message) -> str:
    return f"{path} {base64.b64encode(message.SerializeToString()).decode()}"


def until(happens: Callable[[], object], *, within: float = 60, every: float = 0.005) -> None:
    """Look again and again; raise `TimeoutError` when it takes too long."""
    if not happens_within(happens, within, every):
        raise TimeoutError(f"did not happen within {within} s")


def happens_within(happens: Callable[[], object], seconds: float, every: float) -> bool:
    end = time.perf_counter() + seconds
    while not happens():
        if time.perf_counter() > end:
            return False
        time.sleep(every)
    return True


def create(client: httpx.Client, task: Mapping[str, Any]) -> str:
    """Its id."""
    answer = client.post("/tasks", json=task)
    answer.raise_for_status()
    made: str = answer.json()["id"]
    return made


def wait(client: httpx.Client, task_id: str) -> str:
    """The state in which a task ends, as a waiting client sees it."""
    while (state := state_of(client, task_id, wait="30s")) not in FINAL:
        pass
    return state


def run(client: httpx.Client, task: Mapping[str, Any]) -> None:
    """Until it is complete."""
    made = create(client, task)
    if (state := wait(client, made)) != "COMPLETE":
        raise RuntimeError(f"{state}: {client.get(f'/tasks/{made}?view=FULL').text}")


def state_of(client: httpx.Client, task_id: str, **asked: str) -> str:
    answer = client.get(f"/tasks/{task_id}", params={"view": "MINIMAL", **asked})
    return str(answer.json()["state"])


def counts(client: httpx.Client) -> Mapping[str, int]:
    """How many tasks are in each state, by the server's metrics."""
    lines = client.get("/metrics").text.splitlines()
    found = (COUNT.match(line) for line in lines)
    return {one["state"]: round(float(one["tasks"])) for one in found if one}


@contextmanager
def scratch() -> Generator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="funnel-bench-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def served(*flags: str, database: Path | None = None) -> Generator[Served]:
    """A server on a folder of its own, stopped at the end, and its folder deleted."""
    with scratch() as folder:
        one = start(folder, *flags, database=database)
        try:
            answers(one)
            yield one
        finally:
            stop(one)


def start(folder: Path, *flags: str, database: Path | None = None, port: int = 0) -> Served:
    """Start it and do not wait till it answers."""
    port, rpc_port = port or free_port(), free_port()
    (folder / "files").mkdir(exist_ok=True)
    argv = [
        *(sys.executable, "-m", "funnel", "server", "run", "--Logger.Level", "error"),
        *("--Server.HTTPPort", str(port), "--Server.HostName", "127.0.0.1"),
        *("--Server.RPCPort", str(rpc_port)),
        *("--Worker.WorkDir", str(folder / "work")),
        *("--SQLite.Path", str(database or folder / "funnel.db")),
        *("--LocalStorage.AllowedDirs", str(folder / "files"), *flags),
    ]
    return Served(port, folder, subprocess.Popen(argv, cwd=folder), rpc_port)


def stop(one: Served, how: signal.Signals = signal.SIGTERM) -> None:
    one.process.send_signal(how)
    one.process.wait(60)


def answers(one: Served, *, within: float = 60) -> None:
    """Return when it answers; raise when it ends or takes too long."""
    end = time.perf_counter() + within
    while time.perf_counter() < end:
        if one.process.poll() is not None:
            raise ChildProcessError(f"the server ended with {one.process.returncode}")
        if _healthy(one.port):
            return
        time.sleep(0.002)
    raise TimeoutError("the server does not answer")


def _healthy(port: int) -> bool:
    """Over a bare socket: each look costs next to nothing."""
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            return connection.recv(64).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def _kilobytes(path: Path) -> Mapping[str, int]:
    fields = (line.split() for line in path.read_text().splitlines())
    return {one[0].rstrip(":"): int(one[1]) << 10 for one in fields if one[-1] == "kB"}
