from hypothesis import given
from hypothesis import strategies as st

from funnel.client.tail import Tail, fresh
from funnel.core.container import Stream
from funnel.core.state import State
from funnel.core.task import ExecutorLog, Task, TaskId, TaskLog

WORDS = st.text("ab\n", max_size=30)


def task(*logs: TaskLog) -> Task:
    return Task(id=TaskId("t"), state=State.RUNNING, logs=logs)


def attempt(*stdouts: str, system: tuple[str, ...] = ()) -> TaskLog:
    return TaskLog(
        logs=tuple(ExecutorLog(stdout=one, stderr=one.upper()) for one in stdouts),
        outputs=(),
        system_logs=system,
    )


@given(WORDS, WORDS)
def test_what_is_added_is_new(before: str, added: str) -> None:
    assert fresh(before, before + added) == (added, False)


@given(before=WORDS, added=WORDS, keep=st.integers(1, 40))
def test_with_only_the_end_kept_nothing_is_said_twice(before: str, added: str, keep: int) -> None:
    """What is common may be taken for longer than it is, where text repeats; never for shorter."""
    now = (before + added)[-keep:]
    new, lost = fresh(before[-keep:], now)
    assert now.endswith(new)
    assert added.endswith(new)
    assert lost is (bool(now) and new == now and bool(before[-keep:]))


@given(st.text("abc", min_size=1), st.text("xyz", min_size=1))
def test_text_without_anything_in_common_says_that_some_is_missing(one: str, other: str) -> None:
    assert fresh(one, other) == (other, True)


def test_a_numbered_log_is_followed_exactly_through_a_small_window() -> None:
    whole = "".join(f"line {number}\n" for number in range(2000))
    seen, window = "", 400
    before = ""
    for end in range(0, len(whole) + 1, 150):
        now = whole[max(0, end - window) : end]
        new, lost = fresh(before, now)
        assert not lost
        seen, before = seen + new, now
    assert whole.startswith(seen)
    assert len(whole) - len(seen) < 150


def test_a_repeating_log_is_found_in_one_pass() -> None:
    assert fresh("a" * 100_000, "a" * 100_000 + "b") == ("b", False)
    assert fresh("ab" * 50_000, "ab" * 49_999 + "abc") == ("c", False)


def test_pieces_are_told_apart_by_attempt_executor_and_stream() -> None:
    tail = Tail()
    first = list(tail.see(task(attempt("a\n", system=("began",)))))
    assert [(one.stream, one.text) for one in first] == [
        (Stream.STDOUT, "a\n"),
        (Stream.STDERR, "A\n"),
        (None, "began\n"),
    ]
    second = list(tail.see(task(attempt("a\n", "b\n", system=("began", "went on")))))
    assert [(one.executor, one.text) for one in second] == [
        (1, "b\n"),
        (1, "B\n"),
        (0, "went on\n"),
    ]
    third = list(tail.see(task(attempt("a\n", "b\n", system=("began", "went on")), attempt("c\n"))))
    assert [(one.attempt, one.text) for one in third] == [(1, "c\n"), (1, "C\n")]
