"""Of many files some fail, or a store is not there at all."""

import asyncio
import signal
import socket
from collections.abc import Sequence
from pathlib import Path

import click
import pytest
from calling import Answer, Call
from disks import fill, small_disk

from funnel.cli.storage.moving import How, Job, move_all
from funnel.core.error import Denied
from funnel.ports import Object, Share, Storage
from funnel.storage.local import LocalStorage

ONE_AT_A_TIME = ("--parallel", "1")


def made(folder: Path, names: Sequence[str]) -> None:
    folder.mkdir()
    for name in names:
        (folder / name).write_text(name)


def numbered(count: int) -> Sequence[str]:
    return [f"{number:03}" for number in range(count)]


def in_the_way(folder: Path, names: Sequence[str]) -> None:
    """No file can have these names there."""
    for name in names:
        (folder / name).mkdir(parents=True)


def nowhere(*_: object) -> None:
    """As of a store that is not on this machine."""


def names_of(answer: Answer) -> Sequence[str]:
    return [Path(one["URL"]).name for one in answer.documents]


@pytest.mark.parametrize("parallel", ["1", "16"])
def test_one_that_fails_does_not_stop_the_others(call: Call, tmp_path: Path, parallel: str) -> None:
    made(tmp_path / "from", "abcde")
    in_the_way(tmp_path / "to", "bd")
    to = f"file://{tmp_path}/to"
    for words in (("put", "from", to), ("copy", f"{tmp_path}/from", to)):
        answer = call("storage", *words, "--parallel", parallel)
        assert answer.code == 1
        assert names_of(answer) == ["a", "c", "e"]
        *told, summary = answer.err.splitlines()
        assert sorted(told) == [
            f"Error: cannot store a file at {to}/{name}: there is a directory" for name in "bd"
        ]
        assert summary == "Error: 2 of 5 files failed"


def test_of_each_that_fails_the_url_is_told(call: Call, tmp_path: Path) -> None:
    made(tmp_path / "from", "abc")
    in_the_way(tmp_path / "to", "b")
    answer = call("storage", "get", f"file://{tmp_path}/from", "to")
    assert (answer.code, names_of(answer)) == (1, ["a", "c"])
    first, summary = answer.err.splitlines()
    assert first.startswith(f"Error: file://{tmp_path}/from/b")
    assert summary == "Error: 1 of 3 files failed"


def test_what_names_no_url_is_told_with_it_and_without_its_secrets(
    call: Call, tmp_path: Path
) -> None:
    made(tmp_path / "from", "ab")
    answer = call("storage", "put", "from", "http://me:secret@127.0.0.1:1/to", *ONE_AT_A_TIME)
    first, second, _ = answer.err.splitlines()
    assert first.startswith("Error: http://me@127.0.0.1:1/to/a: outputs over HTTP are off")
    assert second.startswith("Error: http://me@127.0.0.1:1/to/b: outputs over HTTP are off")


def test_what_a_terminal_would_obey_is_not_told(call: Call, tmp_path: Path) -> None:
    made(tmp_path / "from", ["a", "b\r\a"])
    in_the_way(tmp_path / "to", ["b\r\a"])
    answer = call("storage", "put", "from", f"file://{tmp_path}/to")
    assert "/to/b\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}: there is" in answer.err


def test_one_alone_is_told_in_one_line(call: Call, tmp_path: Path) -> None:
    made(tmp_path / "from", "a")
    in_the_way(tmp_path / "to", "a")
    for words in (("from",), ("from/a",)):
        answer = call("storage", "put", *words, f"file://{tmp_path}/to/{words[0][5:]}")
        assert (answer.code, answer.out, answer.err.count("\n")) == (1, "", 1)
        assert "there is a directory" in answer.err


def test_more_in_a_row_than_are_on_their_way_are_enough(call: Call, tmp_path: Path) -> None:
    names = numbered(50)
    made(tmp_path / "from", names)
    in_the_way(tmp_path / "to", names[2:])
    answer = call("storage", "put", "from", f"file://{tmp_path}/to", *ONE_AT_A_TIME)
    assert (answer.code, names_of(answer)) == (1, names[:2])
    *told, summary = answer.err.splitlines()
    assert len(told) == 9
    assert summary == "Error: 9 of 50 files failed (9 in a row), 39 left undone"


def test_what_was_on_its_way_with_the_last_one_is_not_told(call: Call, tmp_path: Path) -> None:
    names = numbered(60)
    made(tmp_path / "from", names)
    in_the_way(tmp_path / "to", names)
    answer = call("storage", "put", "from", f"file://{tmp_path}/to", "--parallel", "32")
    *told, summary = answer.err.splitlines()
    assert len(told) == 40
    assert summary == "Error: 40 of 60 files failed (40 in a row), 20 left undone"


def test_who_is_not_let_in_stops_sooner(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def denied(*_: object, **__: object) -> Object:
        raise Denied("not for you")

    made(tmp_path / "from", numbered(30))
    monkeypatch.setattr(LocalStorage, "put", denied)
    answer = call("storage", "put", "from", f"file://{tmp_path}/to")
    assert answer.err.splitlines()[-1] == "Error: 8 of 30 files failed (8 in a row), 22 left undone"


def test_any_number_may_fail_between_others_that_do_not(call: Call, tmp_path: Path) -> None:
    names = numbered(60)
    made(tmp_path / "from", names)
    in_the_way(tmp_path / "to", [one for one in names if int(one) % 3])
    answer = call("storage", "put", "from", f"file://{tmp_path}/to", *ONE_AT_A_TIME)
    assert names_of(answer) == names[::3]
    assert answer.err.splitlines()[-1] == "Error: 40 of 60 files failed"


def test_any_number_of_names_may_be_taken(call: Call, tmp_path: Path) -> None:
    names = numbered(60)
    made(tmp_path / "from", names)
    made(tmp_path / "to", names[:50])
    answer = call("storage", "put", "from", f"file://{tmp_path}/to", "--no-overwrite")
    assert names_of(answer) == names[50:]
    assert answer.err.splitlines()[-1] == "Error: 50 of 60 files failed"


def test_a_full_disk_ends_all(call: Call, tmp_path: Path) -> None:
    made(tmp_path / "from", "abc")
    (tmp_path / "from/b").write_bytes(bytes(2 << 20))
    with small_disk(tmp_path / "to", 1):
        answer = call("storage", "get", f"file://{tmp_path}/from", "to", *ONE_AT_A_TIME)
        assert (answer.code, names_of(answer)) == (1, ["a"])
        first, summary = answer.err.splitlines()
        assert "free some space on that disk" in first
        assert f"file://{tmp_path}/from/b" in first
        assert summary == "Error: 1 of 3 files failed (there is no space), 1 left undone"


def test_a_full_disk_for_what_is_on_its_way_ends_all_too(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(tmp_path / "from", "ab")
    with small_disk(tmp_path / "temporary", 1) as disk:
        monkeypatch.setattr("tempfile.tempdir", str(disk))
        monkeypatch.setattr("funnel.storage.router.Router.in_place", nowhere)
        fill(disk)
        words = ("copy", f"file://{tmp_path}/from", f"file://{tmp_path}/to")
        answer = call("storage", *words, *ONE_AT_A_TIME)
    assert answer.out == ""
    assert answer.err.splitlines()[-1] == (
        "Error: 1 of 2 files failed (there is no space), 1 left undone"
    )


@pytest.mark.parametrize("words", [("list",), ("put", "from"), ("put", "from/a")])
def test_who_mistypes_a_port_is_told_soon(
    call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: Sequence[str]
) -> None:
    monkeypatch.setattr("funnel.storage.patience.SOON", 1.0)
    made(tmp_path / "from", "ab")
    with socket.socket() as nobody_listens:
        nobody_listens.bind(("127.0.0.1", 0))
        place = "{}:{}".format(*nobody_listens.getsockname())
        (tmp_path / "f.yaml").write_text(f"GenericS3: [{{Endpoint: 'http://{place}'}}]\n")
        answer = call("storage", "-c", "f.yaml", *words, f"s3://{place}/b/")
    told, *errors = answer.err.splitlines()
    assert told.startswith(f"s3://{place}/b/")
    assert "failed: connection refused: " in told
    assert told.endswith("; trying again for 1 s at most")
    assert all(one.startswith("Error: ") for one in errors)
    assert errors[0].endswith(", the last")
    assert (answer.code, answer.out) == (1, "")


def test_what_is_done_behind_others_is_told_to_who_interrupts(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def endless(_: Share) -> Object:
        await asyncio.Event().wait()
        raise AssertionError

    async def done(_: Share) -> Object:
        return Object("file:///done", 3)

    async def interrupting(_: Share) -> Object:
        signal.raise_signal(signal.SIGTERM)
        return await endless(_)

    async def jobs(_: Storage) -> Sequence[Job]:
        return [Job(-1, ("file:///a",), move) for move in (endless, done, interrupting)]

    with pytest.raises(click.exceptions.Exit):
        move_all(jobs, How(config=None, parallel=3, output="json", quiet=True))
    assert capsys.readouterr().out.count("file:///done") == 2
