"""Failpoints do what they are asked to, where they are asked to, and nothing else."""

from collections.abc import AsyncIterator, Callable
from io import BytesIO
from typing import IO, Any

import pytest

from funnel.core.error import Unavailable
from funnel.storage.memory import MemoryStorage
from funnel.testing.failpoints import PORTS, Action, Failpoints, Fault, When, points


def armed(action: Action, point: str, *, hit: int = 1, **given: Any) -> Failpoints:
    return Failpoints([Fault(point=point, action=action, hit=hit)], **given)


class Counting:
    """One call of each shape that a port has."""

    def __init__(self) -> None:
        self.made = 0

    def now(self) -> int:
        self.made += 1
        return self.made

    async def later(self) -> int:
        return self.now()

    async def many(self) -> AsyncIterator[int]:
        self.made += 1
        for number in range(3):
            yield number


async def answers(points: Failpoints, counting: Counting, shape: str) -> list[int]:
    call = points.armed(shape, getattr(counting, shape))
    match shape:
        case "now":
            return [call()]
        case "later":
            return [await call()]
        case _:
            return [one async for one in call()]


SHAPES = pytest.mark.parametrize("shape", ["now", "later", "many"])


@SHAPES
async def test_without_faults_nothing_changes(shape: str) -> None:
    seen = list[str]()
    counting = Counting()
    got = await answers(Failpoints(seen=seen.append), counting, shape)
    assert (got, counting.made) == ([0, 1, 2] if shape == "many" else [1], 1)
    assert seen == [f"{shape}:before", f"{shape}:after"]


@SHAPES
@pytest.mark.parametrize(
    ("when", "raised", "made"), [("before", Unavailable, 0), ("after", ConnectionResetError, 1)]
)
async def test_an_error_comes_before_anything_or_after_it_all(
    shape: str, when: str, raised: type[Exception], made: int
) -> None:
    counting = Counting()
    with pytest.raises(raised, match=f"at {shape}:{when}"):
        await answers(armed(Action.ERROR, f"{shape}:{when}"), counting, shape)
    assert counting.made == made


@SHAPES
@pytest.mark.parametrize(("when", "answer"), [("before", 2), ("after", 1)])
async def test_what_is_made_twice_is_answered_once(shape: str, when: str, answer: int) -> None:
    counting = Counting()
    got = await answers(armed(Action.DUPLICATE, f"{shape}:{when}"), counting, shape)
    assert (got, counting.made) == ([0, 1, 2] if shape == "many" else [answer], 2)


@SHAPES
async def test_a_crash_leaves_the_rest_undone(shape: str) -> None:
    class Died(BaseException):
        """What the tests have instead of a dead process."""

    def die() -> None:
        raise Died

    counting = Counting()
    with pytest.raises(Died):
        await answers(armed(Action.CRASH, f"{shape}:before", crash=die), counting, shape)
    assert counting.made == 0


@SHAPES
async def test_a_delay_changes_nothing_else(shape: str) -> None:
    counting = Counting()
    await answers(armed(Action.DELAY, f"{shape}:before", delay=0.001), counting, shape)
    assert counting.made == 1


async def test_a_fault_comes_at_its_hit_or_each_time() -> None:
    async def failures(hit: int) -> list[bool]:
        counting, points = Counting(), armed(Action.ERROR, "now:before", hit=hit)
        call: Callable[[], int] = points.armed("now", counting.now)
        return [_fails(call) for _ in range(3)]

    assert await failures(2) == [False, True, False]
    assert await failures(0) == [True, True, True]


def _fails(call: Callable[[], object]) -> bool:
    try:
        call()
    except Unavailable:
        return True
    return False


async def test_a_file_that_is_sent_twice_is_the_same_file() -> None:
    sent = list[bytes]()

    async def put(source: IO[bytes]) -> None:
        sent.append(source.read())

    file = BytesIO(b"skipped, sent")
    file.seek(9)
    await armed(Action.DUPLICATE, "put:before").armed("put", put)(file)
    assert sent == [b"sent", b"sent"]


async def test_an_adapter_has_points_around_each_method_of_its_port() -> None:
    seen = list[str]()
    storage = Failpoints(seen=seen.append).around("storage", MemoryStorage())
    assert storage.takes("mem://a") is True
    await storage.put(BytesIO(b"text"), "mem://a")
    hit = [f"storage.{method}:{when}" for method in ("takes", "put") for when in When]
    assert seen == hit
    assert set(seen) < set(points("storage", PORTS["storage"]))
