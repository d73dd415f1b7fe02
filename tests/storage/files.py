"""What tests of file servers share."""

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from proxy import Line, Proxy

from funnel.core.reach import Reach, networks
from funnel.plugins import Host, find
from funnel.ports import Storage
from funnel.storage.share import Unlimited
from funnel.testing.build import EPOCH

HERE: Final = Reach(allowed=networks(["127.0.0.0/8"], "Outbound.AllowedNetworks"))
HOST: Final = Host(now=lambda: EPOCH, deployment="test", reach=HERE)


@asynccontextmanager
async def opened(name: str, settings: Any, host: Host = HOST) -> AsyncGenerator[Storage]:
    async with find("storage", name).make(settings, host) as storage:
        yield storage


def there(files: Path) -> list[str]:
    """All files below."""
    return sorted(str(one.relative_to(files)) for one in files.rglob("*") if one.is_file())


class Hearing(Unlimited):
    """A share that calls somebody once, when so many bytes have come or gone."""

    def __init__(self, after: int, call: Callable[[], object]) -> None:
        self.count = 0
        self.called = False
        self._after = after
        self._call = call

    def moved(self, count: int) -> None:
        self.count += count
        if self.count >= self._after and not self.called:
            self.called = True
            self._call()


def cut(line: Proxy) -> None:
    """What is under way there; what comes then goes through."""
    line.become(Line.RESET)
    line.become(Line.GOOD)
