import logging
from collections.abc import AsyncGenerator

import pytest
from msgspec import json

from funnel.logs import TextFormatter
from funnel.plugins import Host
from funnel.ports import Sink
from funnel.sinks.log import PLUGIN, Settings
from funnel.testing.build import EPOCH, created, logged
from funnel.testing.sink import STRANGE, numbered

HOST = Host(now=lambda: EPOCH, deployment="test")


@pytest.fixture
async def sink() -> AsyncGenerator[Sink]:
    async with PLUGIN.make(Settings(), HOST) as sink:
        yield sink


async def test_each_event_is_one_line_whatever_it_says(
    sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    new = created(name="a\nb\x9b")
    await sink([*numbered(new, *(logged(new.task_id, text) for text in STRANGE))])
    lines = [TextFormatter().format(one) for one in caplog.records]
    assert len(lines) == 1 + len(STRANGE)
    assert all(line.isprintable() for line in lines)
    first, *rest = [json.decode(one.getMessage()) for one in caplog.records]
    assert first["task"]["name"] == "a\nb\x9b"
    assert [one["systemLog"].get("msg", "") for one in rest] == [*STRANGE]


async def test_of_a_new_task_it_says_no_more_than_its_name(
    sink: Sink, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await sink([*numbered(created(name="n", description="long", tags={"a": "b"}))])
    task = json.decode(caplog.records[0].getMessage())["task"]
    assert task.keys() == {"name", "id", "state", "creationTime"}
