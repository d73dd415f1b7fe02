from datetime import timedelta
from pathlib import Path

import pytest
from calling import Call

from funnel.auth.keys import read, read_or_make
from funnel.auth.tokens import Tokens
from funnel.core.access import Caller, Kind
from funnel.core.error import Unauthenticated
from funnel.core.task import TaskId
from funnel.net.clock import now


def test_a_token_is_made_with_the_keys_of_the_server(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "db.keys"
    read_or_make(path)
    where = ("--SQLite.Path", str(tmp_path / "db"))
    answer = call("worker", "token", "t1", "--attempt", "2", "--lasts", "10m", *where)
    assert answer.code == 0
    assert Tokens(read(path), now).caller(answer.out.strip()) == Caller(
        name="", kind=Kind.WORKER, task_id=TaskId("t1"), fence=2
    )
    with pytest.raises(Unauthenticated, match="over"):
        Tokens(read(path), lambda: now() + timedelta(minutes=11)).caller(answer.out.strip())


def test_no_keys_are_made_where_there_is_no_server(call: Call, tmp_path: Path) -> None:
    answer = call("worker", "token", "t1", "--SQLite.Path", str(tmp_path / "db"))
    assert answer.code == 1
    assert "cannot read the keys in" in answer.err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("lasts", ["0", "-1h", "9000h", "100000000h"])
def test_a_token_is_neither_over_at_once_nor_good_for_ever(
    call: Call, tmp_path: Path, lasts: str
) -> None:
    read_or_make(tmp_path / "db.keys")
    answer = call("worker", "token", "t1", "--lasts", lasts, "--SQLite.Path", str(tmp_path / "db"))
    assert (answer.code, answer.out) == (1, "")
    assert "is not between 1s and 8760h" in answer.err
