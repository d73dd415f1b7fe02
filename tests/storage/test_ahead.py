"""Small files that are read before it is their turn."""

import asyncio
import stat
from pathlib import Path

import pytest

from funnel.storage.ahead import SMALL, SOME, Ahead
from funnel.storage.local import LocalStorage

COUNT = 2 * SOME + 3


@pytest.fixture
def paths(tmp_path: Path) -> list[Path]:
    found = [tmp_path / str(number) for number in range(COUNT)]
    for one in found:
        one.write_bytes(one.name.encode() * 100)
    return found


async def content(ahead: Ahead, path: Path) -> bytes:
    with await ahead.opened(path) as file:
        return file.read()


async def test_each_file_has_its_own_content_in_whatever_order(paths: list[Path]) -> None:
    ahead, order = Ahead(paths), [*paths[SOME:], *paths[:SOME]]
    found = await asyncio.gather(*(content(ahead, one) for one in order))
    assert found == [one.name.encode() * 100 for one in order]


async def test_what_was_not_said_to_be_small_is_opened_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(bytes(SMALL + 1))
    assert await content(Ahead(()), tmp_path / "large") == bytes(SMALL + 1)


async def test_a_file_that_has_grown_since_is_whole(paths: list[Path]) -> None:
    paths[0].write_bytes(bytes(2 * SMALL))
    assert await content(Ahead(paths), paths[0]) == bytes(2 * SMALL)


async def test_a_file_that_is_gone_is_told_in_its_turn(paths: list[Path]) -> None:
    paths[1].unlink()
    ahead = Ahead(paths)
    assert await content(ahead, paths[0])
    with pytest.raises(FileNotFoundError):
        await content(ahead, paths[1])
    assert await content(ahead, paths[2])


async def test_what_could_be_run_can_be_run_where_it_is_put(
    paths: list[Path], tmp_path: Path
) -> None:
    paths[0].chmod(0o755)
    storage = LocalStorage([tmp_path])
    with await Ahead(paths).opened(paths[0]) as file:
        await storage.put(file, str(tmp_path / "there"))
    assert (tmp_path / "there").stat().st_mode & stat.S_IXUSR
