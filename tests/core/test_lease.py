from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from funnel.core.attempts import Asked
from funnel.core.fold import EMPTY
from funnel.core.lease import WORKER, Standing, Terms, keeps, may_hold
from funnel.core.task import ExecutorLog
from funnel.testing.build import EPOCH

TERMS = Terms(lease=30.0, grace=900.0)
STARTED = replace(EMPTY, logs=(ExecutorLog(start_time=EPOCH),))

seconds = st.floats(0.1, 1e5)
drift = st.floats(0.9, 1.1)
terms = st.builds(Terms, lease=seconds, grace=seconds)


@given(terms=terms, silence=seconds, worker=drift, server=drift, keeps=st.booleans())
def test_a_worker_stops_before_the_server_gives_its_attempt_away(
    terms: Terms, silence: float, worker: float, server: float, keeps: object
) -> None:
    """Whatever both clocks make of the same silence, each up to a tenth wrong."""
    if terms.is_over(silence * server, keeps=bool(keeps)):
        assert terms.standing(silence * worker, keeps=bool(keeps)) is Standing.LOST


@given(terms=terms, silence=seconds, keeps=st.booleans())
def test_who_is_silent_for_longer_may_do_no_more(
    terms: Terms, silence: float, keeps: object
) -> None:
    order = [Standing.HOLDS, Standing.WAITS, Standing.LOST]
    sooner = terms.standing(silence / 2, keeps=bool(keeps))
    assert order.index(sooner) <= order.index(terms.standing(silence, keeps=bool(keeps)))


def test_a_container_runs_on_where_it_must_not_be_started_again() -> None:
    assert TERMS.standing(26.0, keeps=True) is Standing.WAITS
    assert TERMS.standing(26.0, keeps=False) is Standing.LOST
    assert TERMS.standing(749.0, keeps=True) is Standing.WAITS
    assert TERMS.standing(751.0, keeps=True) is Standing.LOST
    assert not TERMS.is_over(1000.0, keeps=True)
    assert TERMS.is_over(1051.0, keeps=True)
    assert TERMS.is_over(36.0, keeps=False)


def test_two_renewals_may_be_lost() -> None:
    assert TERMS.standing(2 * TERMS.renewal, keeps=False) is Standing.HOLDS


def test_a_grace_shorter_than_the_lease_does_not_shorten_it() -> None:
    assert not Terms(lease=30.0, grace=0.0).is_over(34.0, keeps=True)


def test_what_has_not_started_or_may_start_again_is_not_kept_running() -> None:
    assert keeps(STARTED, Asked())
    assert not keeps(EMPTY, Asked())
    assert not keeps(STARTED, Asked(max_attempts=2))


def test_an_attempt_belongs_to_the_worker_that_came_first() -> None:
    assert may_hold(EMPTY, "here")
    held = replace(EMPTY, metadata={WORKER: "here"})
    assert may_hold(held, "here")
    assert not may_hold(held, "there")
