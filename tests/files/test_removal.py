import os
from pathlib import Path

from funnel.safepath import remove_tree


def test_all_of_it_goes(tmp_path: Path) -> None:
    top = tmp_path / "top"
    for name in ("a/b/c", "a/d", ".hidden/x", "n\newline"):
        (top / name).mkdir(parents=True)
        (top / name / "file").touch()
    os.mkfifo(top / "fifo")
    assert remove_tree(top)
    assert not top.exists()
    assert remove_tree(top)


def test_it_may_be_as_deep_as_it_likes(tmp_path: Path) -> None:
    top = tmp_path / "top"
    top.mkdir()
    here = os.open(top, os.O_RDONLY)
    for _ in range(3_000):
        os.mkdir("d" * 10, dir_fd=here)
        deeper = os.open("d" * 10, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = deeper
    os.close(here)
    assert remove_tree(top)
    assert not top.exists()


def test_it_may_hold_more_than_is_taken_at_once(tmp_path: Path) -> None:
    for number in range(10_500):
        (tmp_path / f"{number}").touch()
    assert remove_tree(tmp_path)


def test_no_link_is_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "precious").touch()
    top = tmp_path / "top"
    (top / "sub").mkdir(parents=True)
    (top / "link").symlink_to(outside)
    (top / "sub/link").symlink_to(outside)
    assert remove_tree(top)
    assert (outside / "precious").exists()
    top.symlink_to(outside)
    assert not remove_tree(top)
    assert (outside / "precious").exists()


def test_closed_directories_are_opened(tmp_path: Path) -> None:
    top = tmp_path / "top"
    (top / "shut/inner").mkdir(parents=True)
    (top / "shut/inner").chmod(0)
    (top / "shut").chmod(0)
    assert remove_tree(top)
