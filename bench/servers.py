"""Servers of others that a script of ours starts, each for one measurement."""

import socket
import subprocess
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.served import until

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"


@contextmanager
def running(script: str, name: str, home: Path, ports: int) -> Generator[str]:
    """One that takes so many ports in a row, as host:port; it ends with us."""
    port = _free_ports(ports)
    subprocess.run([SCRIPTS / script, "install", name], check=True)
    with (home / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [SCRIPTS / script, "run", name, home / name, str(port)], stdout=log, stderr=log
        )
    try:
        until(lambda: _answers(port))
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


def _free_ports(count: int) -> int:
    """The first of so many."""
    for first in range(24_000, 30_000, count):
        try:
            with ExitStack() as stack:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise RuntimeError("no free ports")


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), 10):
            return True
    except OSError:
        return False
