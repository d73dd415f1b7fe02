from collections.abc import Sequence
from functools import reduce

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from funnel.core.container import Stream
from funnel.core.event import Change, ExecutorStarted, Printed, Requeued
from funnel.core.fold import apply, begin
from funnel.core.task import Input
from funnel.core.view import full, tail
from funnel.testing.build import EPOCH, MINUTE, created, logged, printed

NEW = created(
    name="n", tags={"a": "b"}, inputs=(Input(path="/i", content="xyz"), Input(path="/j", url="/u"))
)
T1 = NEW.task_id
EVENTS: Sequence[Change] = (
    ExecutorStarted(T1, EPOCH, 0),
    logged(T1, "first"),
    Requeued(T1, EPOCH, "lost"),
    ExecutorStarted(T1, EPOCH, 1),
    logged(T1, "second"),
    logged(T1, "third"),
)
PROGRESS = reduce(apply, EVENTS, begin(NEW))


def test_full_puts_text_under_its_attempt_and_executor() -> None:
    err = replace(printed(T1, "oops", index=1), stream=Stream.STDERR)
    outputs = {1: [printed(T1, "one")], 2: [err, printed(T1, "tw", index=1)]}
    task = full(NEW, PROGRESS, (NEW, *EVENTS), outputs)
    assert [one.content for one in task.inputs] == ["xyz", ""]
    messages = [[said.split("'")[3] for said in log.system_logs] for log in task.logs]
    assert messages == [["first"], ["second", "third"]]
    said = [[(one.stdout, one.stderr) for one in log.logs] for log in task.logs]
    assert said == [[("one", "")], [("", ""), ("tw", "oops")]]
    assert "task_attempt='1'" in task.logs[1].system_logs[0]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)


def pieces(said: Sequence[str], keep: int) -> list[Printed]:
    found, at = list[Printed](), 0
    for text in said:
        found.append(printed(T1, text, start=at, keep=keep))
        at = found[-1].end
    return found


@given(st.lists(texts, max_size=8), st.integers(0, 40))
def test_the_tail_is_the_end_of_what_was_said(said: list[str], keep: int) -> None:
    found = tail(pieces(said, keep))
    whole = "".join(said)
    assert whole.endswith(found)
    assert len(found.encode()) <= keep
    assert len(whole.encode()) <= keep or len(found.encode()) > keep - 4


@given(st.lists(st.text("abc", max_size=8), max_size=8), st.integers(0, 12), st.integers(0, 12))
def test_what_is_said_twice_is_shown_once(said: list[str], start: int, length: int) -> None:
    whole = "".join(said)
    again = whole[start : start + length]
    twice = [*pieces(said, 1000), *([printed(T1, again, start=start)] if again else [])]
    in_order = sorted(twice, key=lambda piece: (piece.start, piece.end))
    assert tail(in_order) == whole


def test_a_piece_that_begins_inside_a_letter_shows_whole_letters_only() -> None:
    late = replace(printed(T1, "éb", start=0), start=0, end=3)
    assert tail([printed(T1, "x", start=0), late]) == "xb"
    assert tail([]) == ""


def test_lines_of_the_system_log_never_go_back_in_time() -> None:
    late = replace(logged(T1, "late"), at=EPOCH + MINUTE)
    task = full(NEW, begin(NEW), (late, logged(T1, "early")), {})
    times = [said.split("timestamp='")[1].split("'")[0] for said in task.logs[0].system_logs]
    assert times == [(EPOCH + MINUTE).isoformat()] * 2
