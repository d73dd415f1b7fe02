from base64 import urlsafe_b64encode
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from funnel.auth.keys import KeyFile, read_or_make
from funnel.core.error import Invalid, Unavailable

ONE, TWO = (urlsafe_b64encode(bytes([one]) * 32).decode() for one in (1, 2))


def written(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_key_is_made_at_the_first_start_for_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "new" / "keys"
    first = read_or_make(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_or_make(path).first == first.first
    assert [one.name for one in path.parent.iterdir()] == ["keys"]
    assert len(first.first[1]) == 32


def test_two_that_start_at_once_have_the_same_key(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(read_or_make, [tmp_path / "keys"] * 32))
    assert len({one.first for one in made}) == 1


def test_the_first_line_signs_and_all_are_believed(tmp_path: Path) -> None:
    old = read_or_make(written(tmp_path / "old", f"{ONE}\n"))
    both = read_or_make(written(tmp_path / "both", f"{TWO}\n\n{ONE}"))
    assert both.first == read_or_make(written(tmp_path / "new", TWO)).first
    assert both.get(old.first[0]) == old.first[1] == bytes([1]) * 32
    assert old.get(both.first[0]) is None


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666, 0o602])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(Invalid, match="chmod 600"):
        read_or_make(written(tmp_path / "keys", ONE, mode))


@pytest.mark.parametrize("text", ["", "\n\n", "swordfish", ONE[:40], f"{ONE}\nsword!fish", "\x00"])
def test_what_holds_no_key_is_refused_and_not_quoted(tmp_path: Path, text: str) -> None:
    with pytest.raises(Invalid, match="key") as refused:
        read_or_make(written(tmp_path / "keys", text))
    assert not text.strip() or text.strip() not in str(refused.value)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    written(tmp_path / "file", "x")
    with pytest.raises(Unavailable, match="cannot keep keys in"):
        read_or_make(tmp_path / "file" / "keys")
    (tmp_path / "directory").mkdir(mode=0o700)
    with pytest.raises(Unavailable, match="cannot read the keys in"):
        read_or_make(tmp_path / "directory")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["directory", "file"]


def test_new_keys_count_as_soon_as_they_are_seen(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = written(tmp_path / "keys", ONE)
    keys = KeyFile(path)
    name, key = keys.first
    path.write_text(f"{TWO}\n{ONE}\n")
    keys.look()
    assert keys.first != (name, key)
    assert keys.get(name) == key
    path.write_text("nonsense\n")
    keys.look()
    keys.look()
    assert keys.get(name) == key
    assert [one.levelname for one in caplog.records if "of before" in one.message] == ["ERROR"]
    path.write_text(f"{TWO}\n")
    keys.look()
    assert keys.get(name) is None
