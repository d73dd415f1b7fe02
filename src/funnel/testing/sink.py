"""What every sink must do."""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Final, TypeAlias

import pytest

from funnel.core.error import FunnelError
from funnel.core.event import Change, Created, Logged, Recorded
from funnel.core.message import Numbered, messages
from funnel.core.state import State
from funnel.core.value import Value
from funnel.ports import Sink
from funnel.testing.build import EPOCH, created, logged, moved

STRANGE: Final = (
    *("", " ", "ünïcode ✓ 😀", "a\r\nforged: line", "tab\tquote\"'\\", "\x00\x1b[31m\x7f\x9b"),
    *("\u202egnp.exe", "x" * 5000),
)


class Received(Value):
    """What arrived: the id of the task that it came under, and the JSON of the message."""

    key: str
    body: dict[str, Any]


Receive: TypeAlias = Callable[[int], Awaitable[Sequence[Received]]]
"""All that has arrived, once that is so many."""


class SinkSuite:
    """
    Subclass, give the fixtures `sink`, `receive` and `dead`, and pytest does the rest.

    Each test needs a place of its own on the other side. System logs must be asked for. `dead`
    is a sink whose other side does not answer.
    """

    most_bytes = 0
    """The largest message that is taken; 0 where there is no such limit."""
    keeps_once = False
    """Whether what is told twice is there once."""

    async def test_what_is_told_arrives(self, sink: Sink, receive: Receive) -> None:
        new = created(name="first", tags={"a_b": "c"})
        await sink([*numbered(new, moved(new.task_id, State.COMPLETE))])
        begun, ended, moved_to = await receive(3)
        assert {begun.key, ended.key, moved_to.key} == {new.task_id}
        assert begun.body["type"] == "TASK_CREATED"
        assert begun.body["task"]["name"] == "first"
        assert begun.body["task"]["tags"] == {"a_b": "c"}
        assert ended.body["type"] == "TASK_END_TIME"
        assert moved_to.body == {
            "id": new.task_id,
            "timestamp": "2026-01-01T00:00:00Z",
            "state": "COMPLETE",
            "type": "TASK_STATE",
        }

    async def test_strange_texts_arrive_as_they_are(self, sink: Sink, receive: Receive) -> None:
        new = created()
        said = [Logged(new.task_id, EPOCH, text, fields={"field": text}) for text in STRANGE]
        await sink([*numbered(*said)])
        logs = [one.body["systemLog"] for one in await receive(len(STRANGE))]
        assert [one.get("msg", "") for one in logs] == [*STRANGE]
        assert [one["fields"]["field"] for one in logs] == [*STRANGE]

    async def test_each_task_keeps_its_order(self, sink: Sink, receive: Receive) -> None:
        made = [created() for _ in range(40)]
        await sink([told for new in made for told in numbered(new)])
        for n in range(4):
            page = [logged(new.task_id, str(n * 10 + one)) for one in range(10) for new in made]
            await sink([*numbered(*page, first=2 + n * len(page))])
        arrived = await receive(40 * 41)
        assert len(arrived) == 40 * 41
        for new in made:
            first, *rest = [one.body for one in arrived if one.key == new.task_id]
            assert first["type"] == "TASK_CREATED"
            assert [one["systemLog"]["msg"] for one in rest] == [str(n) for n in range(40)]

    async def test_what_is_told_again_does_no_harm(self, sink: Sink, receive: Receive) -> None:
        new = created()
        told = [*numbered(new, *(logged(new.task_id, str(n)) for n in range(5)))]
        await sink(told)
        await sink(told)
        last = created()
        await sink([*numbered(last)])
        arrived = await receive(7 if self.keeps_once else 13)
        bodies = [one.body for one in arrived if one.key == new.task_id]
        assert bodies in ([bodies[:6]] if self.keeps_once else [bodies[:6] * 2])

    async def test_what_is_too_large_holds_up_nothing(self, sink: Sink, receive: Receive) -> None:
        if not self.most_bytes:
            return
        new = created()
        told = [logged(new.task_id, text) for text in ("1", "x" * self.most_bytes, "2")]
        await sink([*numbered(new, *told)])
        _, *rest = await receive(3)
        assert [one.body["systemLog"]["msg"] for one in rest] == ["1", "2"]

    async def test_one_that_does_not_answer_is_no_surprise(self, dead: Sink) -> None:
        for _ in range(2):
            with pytest.raises((FunnelError, OSError)):
                await dead([*numbered(created())])


def numbered(*events: Created | Change, first: int = 1) -> Iterable[Numbered]:
    """Messages about the first attempt."""
    for number, event in enumerate(events, first):
        yield from messages(Recorded(number, number, event), 1)
