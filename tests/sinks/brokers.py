"""Real message brokers, each a child of the tests that ends with them."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "broker.sh"
PATIENCE = 60.0


def free_ports(count: int) -> int:
    """
    The first of so many free ports in a row.

    Each process of the tests has ports of its own: that of a broker which is away stays free.
    """
    process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    start = 20_000 + process % 4 * 3_000
    for first in range(start + os.getpid() % 900, start + 3_000 - count, count):
        try:
            for port in range(first, first + count):
                with socket.socket() as one:
                    one.bind(("127.0.0.1", port))
        except OSError:
            continue
        return first
    raise RuntimeError("no free ports")


class Broker:
    """One of those that a script knows, by name."""

    script = SCRIPT
    ports = 4
    """So many in a row."""

    def __init__(self, name: str, home: Path) -> None:
        self.name = name
        self.home = home
        self.port = free_ports(self.ports)
        self.log = home / "broker.log"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def private(self) -> str:
        """Its address for TLS, where it has a certificate."""
        return f"127.0.0.1:{self.port + 3}"

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.script, "run", self.name, self.home / "data", str(self.port)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        end = time.monotonic() + PATIENCE
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > end:
                self.stop()
                raise RuntimeError(self.log.read_text())
            time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGKILL) -> None:
        """As a fault would: what was acknowledged must be there after the next start."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, how)
        self.process.wait(PATIENCE)

    def _answers(self) -> bool:
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0


def install(name: str, script: Path = SCRIPT) -> None:
    """Bring the software first: it takes longer than a test may."""
    subprocess.run([script, "install", name], check=True, stdin=subprocess.DEVNULL)
