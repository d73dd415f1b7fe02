"""Every runtime, by the one suite."""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from funnel.core.container import Stream
from funnel.core.error import NotFound
from funnel.plugins import Host
from funnel.ports import Runtime
from funnel.runtime.docker import PLUGIN
from funnel.runtime.fake import FakeRuntime, Inside
from funnel.runtime.settings import Profile, Settings
from funnel.testing.runtime import RuntimeSuite

IMAGE = "alpine"
LATER = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.mark.engine
class TestDocker(RuntimeSuite):
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings()

    @pytest.fixture
    async def runtime(self, settings: Settings) -> AsyncGenerator[Runtime]:
        host = Host(now=lambda: LATER, deployment=f"test-{uuid4().hex}")
        async with PLUGIN.make(settings, host) as runtime:
            yield runtime
            for one in await runtime.found():
                await runtime.remove(one.id, grace=timedelta(0))

    @pytest.fixture
    def image(self) -> str:
        return IMAGE


class TestStrictDocker(TestDocker):
    @pytest.fixture
    def settings(self) -> Settings:
        return Settings(profile=Profile.STRICT)


async def echo(inside: Inside) -> int:
    await inside.write(" ".join(inside.container.command[1:]).encode() + b"\n")
    return 0


async def cat(inside: Inside) -> int:
    try:
        for path in inside.container.command[1:]:
            await inside.write(inside.path(path).read_bytes())
    except NotFound as error:
        await inside.write(str(error).encode(), Stream.STDERR)
        return 1
    await inside.write(await inside.stdin())
    return 0


async def touch(inside: Inside) -> int:
    inside.path(inside.container.command[1]).touch()
    return 0


async def false(inside: Inside) -> int:
    del inside
    return 1


async def sleep(inside: Inside) -> int:
    async with asyncio.timeout(float(inside.container.command[1])):
        await inside.stopping.wait()
    return 143


PROGRAMS = {"echo": echo, "cat": cat, "touch": touch, "false": false, "sleep": sleep}


class TestFake(RuntimeSuite):
    @pytest.fixture
    async def runtime(self) -> AsyncGenerator[Runtime]:
        runtime = FakeRuntime(PROGRAMS, images=frozenset({IMAGE}))
        yield runtime
        await runtime.close()

    @pytest.fixture
    def image(self) -> str:
        return IMAGE
