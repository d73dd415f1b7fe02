"""Real object stores and file servers, each a child of the tests that ends with them."""

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from brokers import Broker, install

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "store.sh"


class Server(Broker):
    """One of those in `scripts/stores`, by name."""

    script = SCRIPT
    ports = 8


@contextmanager
def running(name: str, home: Path) -> Generator[Server]:
    install(name, SCRIPT)
    server = Server(name, home)
    server.start()
    try:
        yield server
    finally:
        server.stop()
