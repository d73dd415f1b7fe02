"""A runtime that runs nothing: every container ends at once, and well. For measuring the rest."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from funnel.core.value import Value
from funnel.plugins import Host, Plugin
from funnel.runtime.fake import FakeRuntime, Inside


class Settings(Value):
    """Nothing to choose."""


@asynccontextmanager
async def make(settings: Settings, host: Host) -> AsyncGenerator[FakeRuntime]:
    del settings, host
    runtime = FakeRuntime({}, otherwise=_end, has_files=False)
    try:
        yield runtime
    finally:
        await runtime.close()


async def _end(inside: Inside) -> int:
    del inside
    return 0


PLUGIN = Plugin("Nothing", Settings, make)
