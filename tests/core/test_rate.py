from hypothesis import given
from hypothesis import strategies as st

from funnel.core.rate import LOGINS, MINUTE, Bucket, Rate

rates = st.builds(Rate, st.floats(0.01, 1000), st.floats(1, 1000))
pauses = st.lists(st.floats(0, 100), max_size=200)


def let_through(rate: Rate, pauses: list[float]) -> int:
    bucket: Bucket | None = None
    now, passed = 0.0, 0
    for pause in pauses:
        now += pause
        if not rate.wait(bucket, now):
            bucket = rate.taken(bucket, now)
            passed += 1
    return passed


@given(rates, pauses)
def test_no_more_get_through_than_the_burst_and_what_comes_in_the_time(
    rate: Rate, pauses: list[float]
) -> None:
    most = rate.burst + rate.per_second * sum(pauses)
    assert let_through(rate, pauses) <= most + 1e-6 * len(pauses)


@given(rates, st.integers(1, 50))
def test_who_keeps_to_the_rate_never_waits(rate: Rate, times: int) -> None:
    bucket: Bucket | None = None
    for turn in range(times):
        now = turn / rate.per_second * (1 + 1e-9)
        assert rate.wait(bucket, now) < 1e-6
        bucket = rate.taken(bucket, now)


@given(rates, st.integers(1, 50), st.floats(0, 1e6))
def test_after_the_wait_one_may_be_taken(rate: Rate, times: int, start: float) -> None:
    bucket: Bucket | None = None
    for _ in range(times):
        bucket = rate.taken(bucket, start)
    wait = rate.wait(bucket, start)
    assert rate.wait(bucket, start + wait) <= 1e-6
    assert bucket is not None
    assert bucket.level >= 1 or wait > 0


def test_a_clock_that_goes_back_gives_nothing_and_takes_nothing() -> None:
    rate = Rate(1, burst=2)
    bucket = rate.taken(None, 100)
    assert rate.wait(bucket, 90) == rate.wait(bucket, 100) == 0
    assert rate.taken(bucket, 90).level == rate.taken(bucket, 100).level == 0


def test_ten_wrong_logins_a_minute() -> None:
    bucket: Bucket | None = None
    for _ in range(10):
        assert LOGINS.wait(bucket, 0) == 0
        bucket = LOGINS.taken(bucket, 0)
    assert LOGINS.wait(bucket, 0) > 5
    assert LOGINS.wait(bucket, MINUTE / 10 + 0.01) == 0
