import pytest

from funnel.core.container import Exited


@pytest.mark.parametrize("code", [137, 143])
def test_an_end_by_a_signal_that_nobody_saw_may_be_the_engines_doing(code: int) -> None:
    assert "stopped the container" in Exited(code=code, unseen=True).doubt(keeps_output=False)
    assert not Exited(code=code, unseen=True, oom_killed=True).doubt(keeps_output=False)
    assert not Exited(code=code).doubt(keeps_output=True)


def test_success_that_nobody_saw_is_none_where_the_output_counts() -> None:
    assert "lost what it printed" in Exited(code=0, unseen=True).doubt(keeps_output=True)
    assert not Exited(code=0, unseen=True).doubt(keeps_output=False)


def test_a_failure_stays_one() -> None:
    assert not Exited(code=3, unseen=True).doubt(keeps_output=True)
