from datetime import UTC, datetime, timedelta, timezone

import pytest
from msgspec.structs import replace

from funnel.core.event import Level, Logged
from funnel.core.systemlog import line
from funnel.core.task import TaskId
from funnel.testing.build import EPOCH

SAID = Logged(TaskId("t1"), EPOCH, "download started")


def test_the_fixed_pairs_come_first() -> None:
    assert line(replace(SAID, fields={"url": "s3://b/x"}, index=2), 3) == (
        "level='info' msg='download started' timestamp='2026-01-01T00:00:00+00:00'"
        " task_attempt='2' executor_index='2' url='s3://b/x'"
    )


@pytest.mark.parametrize("zone", [UTC, timezone(timedelta(hours=-5, minutes=-30)), None])
@pytest.mark.parametrize("microsecond", [0, 7, 120_000])
def test_times_are_those_of_iso_8601(zone: timezone | None, microsecond: int) -> None:
    at = datetime(2026, 1, 2, 3, 4, 5, microsecond, tzinfo=zone)
    assert f" timestamp='{at.isoformat()}' " in line(replace(SAID, at=at), 1)


def test_levels_are_the_words_that_clients_look_for() -> None:
    levels = [line(replace(SAID, level=level), 1).split()[0] for level in Level]
    assert levels == ["level='debug'", "level='info'", "level='warning'", "level='error'"]


def test_quotes_and_spaces_cannot_break_a_pair() -> None:
    said = replace(SAID, message="it's", fields={"two words\there": "a 'b'"})
    assert "msg='it\\'s' " in line(said, 1)
    assert line(said, 1).endswith(" two_words_here='a \\'b\\''")


def test_a_field_may_say_what_a_fixed_pair_says() -> None:
    assert "msg='other'" in line(replace(SAID, fields={"msg": "other"}), 1)
