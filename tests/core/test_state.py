from itertools import product

import pytest

from funnel.core.error import InvalidTransition
from funnel.core.state import FINAL, NEXT, State, advance, is_final


@pytest.mark.parametrize(("now", "to"), [*product(State, State)])
def test_the_table_is_the_whole_truth(now: State, to: State) -> None:
    if to is now or to in NEXT.get(now, ()):
        assert advance(now, to) is to
    else:
        with pytest.raises(InvalidTransition, match=f"{now} cannot become {to}"):
            advance(now, to)


def test_no_one_leaves_a_final_state() -> None:
    assert not FINAL & NEXT.keys()
    assert all(is_final(state) for state in FINAL)


def test_every_life_can_end_and_never_turns_back() -> None:
    for now, after in NEXT.items():
        assert after >= FINAL
        assert all(now not in NEXT.get(to, frozenset()) for to in after)
