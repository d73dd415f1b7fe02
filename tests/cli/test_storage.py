import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from calling import Call


def test_files_are_put_listed_looked_at_and_got(call: Call, tmp_path: Path) -> None:
    (tmp_path / "from/below").mkdir(parents=True)
    (tmp_path / "from/a").write_text("abc")
    (tmp_path / "from/below/b").write_text("")
    here = f"file://{tmp_path}"
    put = call("storage", "put", "from", f"{here}/to")
    assert [(one["URL"], one["Size"]) for one in put.documents] == [
        (f"{here}/to/a", 3),
        (f"{here}/to/below/b", 0),
    ]
    listed = call("storage", "list", f"{here}/to").json
    assert [(one["Name"], one["Size"]) for one in listed] == [("a", 3), ("below/b", 0)]
    stat = call("storage", "stat", f"{here}/to/a").json
    assert set(stat) == {"URL", "Name", "ETag", "LastModified", "Size"}
    assert stat["Size"] == 3
    assert call("storage", "get", f"{here}/to", "back").code == 0
    assert (tmp_path / "back/a").read_text() == "abc"
    assert (tmp_path / "back/below/b").read_text() == ""


def test_settings_say_what_may_be_touched(call: Call, tmp_path: Path) -> None:
    (tmp_path / "f.yaml").write_text("LocalStorage: {AllowedDirs: [/nowhere]}\n")
    (tmp_path / "a").write_text("abc")
    url = f"file://{tmp_path}/a"
    assert call("storage", "stat", url).code == 0
    for words in (("-c", "f.yaml", "stat", url), ("stat", "-c", "f.yaml", url)):
        answer = call("storage", *words)
        assert answer.code == 1
        assert "LocalStorage.AllowedDirs" in answer.err


def test_all_files_of_a_task_are_looked_at(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("abc")
    task = {
        "executors": [{"image": "alpine", "command": ["true"]}],
        "inputs": [
            {"path": "/a", "url": f"file://{tmp_path}/a"},
            {"path": "/b", "url": f"file://{tmp_path}/b"},
            {"path": "/c", "content": "c"},
        ],
        "outputs": [{"path": "/d", "url": f"file://{tmp_path}/d"}],
    }
    (tmp_path / "task.json").write_text(json.dumps(task))
    answer = call("storage", "stat-task", "task.json")
    assert [one["Size"] for one in answer.documents] == [3]
    assert answer.err.count("Error: ") == 2


def test_a_file_that_is_not_there_is_an_error(call: Call, tmp_path: Path) -> None:
    answer = call("storage", "put", "none", f"file://{tmp_path}/x")
    assert answer.err == "Error: cannot read none: No such file or directory\n"
    assert call("storage", "stat", "what://x").code == 1


def test_files_go_from_url_to_url(call: Call, tmp_path: Path) -> None:
    here = f"file://{tmp_path}"
    (tmp_path / "from/below").mkdir(parents=True)
    (tmp_path / "from/a").write_text("abc")
    (tmp_path / "from/below/b").write_text("")
    copied = call("storage", "copy", f"{here}/from", f"{here}/to", "--parallel", "1")
    assert [(one["URL"], one["Size"]) for one in copied.documents] == [
        (f"{here}/to/a", 3),
        (f"{here}/to/below/b", 0),
    ]
    assert call("storage", "copy", f"{here}/to/a", f"{here}/to/").json["URL"] == f"{here}/to/a"
    assert (tmp_path / "to/a").read_text() == "abc"


def test_a_directory_to_copy_into_keeps_the_name(call: Call, tmp_path: Path) -> None:
    here = f"file://{tmp_path}"
    (tmp_path / "a").write_text("abc")
    (tmp_path / "to").mkdir()
    assert call("storage", "put", "a", f"{here}/to/").json["URL"] == f"{here}/to/a"
    (tmp_path / "back").mkdir()
    assert call("storage", "get", f"{here}/a", "back").code == 0
    assert (tmp_path / "back/a").read_text() == "abc"


def test_an_empty_file_is_got_as_a_file(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    assert call("storage", "get", f"file://{tmp_path}/a", "b/c").json["Size"] == 0
    assert (tmp_path / "b/c").is_file()


def test_people_see_columns(call: Call, tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    for name, count in (("a", 3), ("b\x1b[31m", 1536)):
        (tmp_path / "from" / name).write_bytes(b"x" * count)
        os.utime(tmp_path / "from" / name, (0, 0))
    when = datetime.fromtimestamp(0, UTC).astimezone().strftime("%Y-%m-%d %H:%M")
    assert call("storage", "list", f"file://{tmp_path}/from", "--output", "text").lines == [
        f"       3 B  {when}  a",
        f"   1.5 KiB  {when}  b\N{REPLACEMENT CHARACTER}[31m",
    ]
    url = f"file://{tmp_path}/from/a"
    assert call("storage", "stat", url, "--output", "text").out == f"       3 B  {when}  {url}\n"


def test_long_lists_are_one_document(call: Call, tmp_path: Path) -> None:
    (tmp_path / "many").mkdir()
    (tmp_path / "none").mkdir()
    for number in range(2001):
        (tmp_path / "many" / f"{number:04}").touch()
    listed = call("storage", "list", f"file://{tmp_path}/many")
    assert [one["Name"] for one in listed.json] == [f"{number:04}" for number in range(2001)]
    assert len(listed.lines) == 1
    assert call("storage", "list", f"file://{tmp_path}/none").json == []


def test_a_name_that_is_no_text_is_refused(call: Call, tmp_path: Path) -> None:
    (tmp_path / "from").mkdir()
    Path(os.fsdecode(bytes(tmp_path / "from") + b"/\xff")).touch()
    answer = call("storage", "put", "from", f"file://{tmp_path}/to")
    assert answer.code == 1
    assert r"the name of 'from/\udcff' is not UTF-8; give it another one" in answer.err
    listed = call("storage", "list", f"file://{tmp_path}/from").json
    assert [one["Name"] for one in listed] == ["\\udcff"]


def test_how_far_it_is_goes_to_a_terminal_only(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("abc")
    words = ("storage", "put", "a", f"file://{tmp_path}/b")
    assert call(*words).err == ""
    assert "0 of 1 files  0 B of 3 B" in at_terminal(*words)
    assert at_terminal(*words, "--quiet") == ""


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_nothing_half_done_is_left_by_who_is_interrupted(
    how: signal.Signals, tmp_path: Path
) -> None:
    (tmp_path / "to").mkdir()
    os.mkfifo(tmp_path / "endless")
    argv = (sys.executable, "-m", "funnel", "storage", "put", "endless")
    process = subprocess.Popen([*argv, f"file://{tmp_path}/to/a"], cwd=tmp_path)
    with suppress(BrokenPipeError), (tmp_path / "endless").open("wb", buffering=0) as feed:
        feed.write(bytes(4 << 20))
        process.send_signal(how)
        while True:
            feed.write(bytes(1 << 16))
    assert process.wait(30) == {signal.SIGINT: 130, signal.SIGTERM: 143}[how]
    assert list((tmp_path / "to").iterdir()) == []


def at_terminal(*words: str) -> str:
    """What a command writes to standard error where that is a terminal."""
    ours, its = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen, os.fdopen(its, "wb") as given:
        subprocess.run(
            [sys.executable, "-m", "funnel", *words],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=given,
            timeout=60,
        )
        # So that there is something to read.
        given.write(b".")
        given.flush()
        return screen.read(1 << 16).decode().removesuffix(".")


def test_nothing_is_replaced_where_that_is_said(call: Call, tmp_path: Path) -> None:
    here = f"file://{tmp_path}"
    (tmp_path / "new").write_text("new")
    for words in (("put", "new"), ("copy", f"{here}/new")):
        assert call("storage", *words, f"{here}/to/{words[0]}", "--no-overwrite").code == 0
        (tmp_path / "new").write_text("newer")
        answer = call("storage", *words, f"{here}/to/{words[0]}", "--no-overwrite")
        assert (answer.code, answer.out) == (1, "")
        assert f"there is {here}/to/{words[0]} already, and nothing is replaced" in answer.err
    assert (tmp_path / "to" / "put").read_text() == "new"
    assert (tmp_path / "to" / "copy").read_text() == "newer"


def test_what_is_no_file_is_never_replaced(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("abc")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        answer = call("storage", "get", f"file://{tmp_path}/a", name)
        assert (answer.code, "neither a file nor a directory" in answer.err) == (1, True)
    answer = call("storage", "put", "a", f"file://{tmp_path}/pipe")
    assert (answer.code, "something that is no file" in answer.err) == (1, True)
    assert (tmp_path / "pipe").is_fifo()
    assert (tmp_path / "link").is_symlink()


def test_a_file_is_got_to_where_a_link_leads(call: Call, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("abc")
    (tmp_path / "b").write_text("old")
    (tmp_path / "link").symlink_to("b")
    assert call("storage", "get", f"file://{tmp_path}/a", "link").code == 0
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "b").read_text() == "abc"


def test_directories_are_put_with_all_that_links_lead_to(call: Call, tmp_path: Path) -> None:
    (tmp_path / "from/below").mkdir(parents=True)
    (tmp_path / "else").mkdir()
    (tmp_path / "else/b").write_text("b")
    (tmp_path / "from/link").symlink_to("../else")
    (tmp_path / "from/below/twice").symlink_to("../../else/b")
    put = call("storage", "put", "from", f"file://{tmp_path}/to")
    assert [one["URL"].removeprefix(f"file://{tmp_path}/to/") for one in put.documents] == [
        "below/twice",
        "link/b",
    ]


@pytest.mark.parametrize("to", [".", "../from", "nothing"])
def test_a_link_that_leads_nowhere_or_back_is_an_error(call: Call, tmp_path: Path, to: str) -> None:
    (tmp_path / "from").mkdir()
    (tmp_path / "from/a").write_text("a")
    (tmp_path / "from/link").symlink_to(to)
    answer = call("storage", "put", "from", f"file://{tmp_path}/to")
    assert (answer.code, "from/link is" in answer.err) == (1, True)
    assert not (tmp_path / "to").exists()
