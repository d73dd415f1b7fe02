"""Counters of our own: they say what the library's say of the same."""

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from funnel.tally import Spread, Tally

BOUNDS = (0.1, 1, 2.5)
AMOUNTS = st.one_of(st.sampled_from([0.0, *BOUNDS]), st.floats(0, 10))


def said(registry: CollectorRegistry) -> list[str]:
    """But for when the first was counted, which nobody asks."""
    lines = generate_latest(registry).decode().splitlines()
    return sorted(line for line in lines if "_created" not in line)


@given(st.lists(st.tuples(st.sampled_from(["a", 'b"\n']), AMOUNTS)))
def test_it_says_what_the_library_says(seen: Sequence[tuple[str, float]]) -> None:
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    tally, spread = Tally("t", "text", "who"), Spread("s", "text", BOUNDS, "who")
    alone = Spread("alone", "text", BOUNDS)
    for one in (tally, spread, alone):
        ours.register(one)
    counter = Counter("t", "text", ["who"], registry=theirs)
    histogram = Histogram("s", "text", ["who"], buckets=BOUNDS, registry=theirs)
    single = Histogram("alone", "text", buckets=BOUNDS, registry=theirs)
    for who, amount in seen:
        tally.of[(who,)] += 1
        spread.seen(amount, (who,))
        alone.seen(amount)
        counter.labels(who).inc()
        histogram.labels(who).observe(amount)
        single.observe(amount)
    assert said(ours) == said(theirs)
