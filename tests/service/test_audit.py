import logging

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from funnel.logs import JsonFormatter, TextFormatter
from funnel.service.audit import LONGEST, audit

anything = st.text(alphabet=st.characters(exclude_categories=()), max_size=300)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(anything)
def test_whatever_a_caller_says_is_one_value_in_one_line(
    caplog: pytest.LogCaptureFixture, said: str
) -> None:
    caplog.clear()
    with caplog.at_level(logging.INFO, "funnel.audit"):
        audit("refused", user=said, door="http")
    (record,) = caplog.records
    text = record.getMessage()
    assert text.isprintable()
    assert text.startswith("refused user=" if said else "refused door=")
    assert text.endswith(" door=http")
    assert len(text) < 12 * LONGEST
    for formatter in (TextFormatter(), JsonFormatter()):
        assert len(formatter.format(record).splitlines()) == 1


def test_a_line_says_what_happened_and_who_it_was(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "funnel.audit"):
        audit("deleted", user="ann smith", task="t1", owner="")
        audit("refused", user="x door=http task=t2 '\n")
    assert [one.getMessage() for one in caplog.records] == [
        "deleted user='ann smith' task=t1",
        r"""refused user="x door=http task=t2 '\n\"""".replace('\\"', '"'),
    ]
