import json
from pathlib import Path

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
