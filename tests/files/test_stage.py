import stat
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from scene import OUT, STEP, Attempt

from funnel.core.error import FunnelError, Invalid, NotFound
from funnel.core.event import Level
from funnel.core.task import FileType, Input, Spec
from funnel.ports import Object, Share
from funnel.service.budget import Budget
from funnel.service.stage import lay_out, stage
from funnel.service.transfers import Transfers
from funnel.storage.local import LocalStorage
from funnel.storage.memory import MemoryStorage

DIRECTORY = FileType.DIRECTORY


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def spec(*inputs: Input, **given: Any) -> Spec:
    return Spec(executors=(STEP,), inputs=inputs, outputs=(OUT,), **given)


async def test_inputs_are_brought_to_their_paths(attempt: Attempt) -> None:
    await attempt.store({"mem://b/f": "file", "mem://b/d/x": "1", "mem://b/d/deep/y": "2"})
    await attempt.stage(
        spec(
            Input(path="/in/f", url="mem://b/f"),
            Input(path="/in/d/", url="mem://b/d/", type=DIRECTORY),
            Input(path="/in/c", content="written"),
        )
    )
    assert (attempt.root / "in/f").read_text() == "file"
    assert (attempt.root / "in/d/x").read_text() == "1"
    assert (attempt.root / "in/d/deep/y").read_text() == "2"
    assert (attempt.root / "in/c").read_text() == "written"
    assert attempt.said(Level.INFO).count("download started") == 3
    finished = [fields for _, message, fields in attempt.notes if message == "download finished"]
    assert {"url", "size", "etag"} <= set(finished[0])


async def test_any_user_of_a_container_can_use_what_is_made(attempt: Attempt) -> None:
    await attempt.store({"mem://b/d/x": "1"})
    await attempt.stage(
        spec(
            Input(path="/in/d", url="mem://b/d", type=DIRECTORY),
            Input(path="/run.sh", content="#!/bin/sh"),
            volumes=("/vol",),
        )
    )
    assert mode(attempt.root / "tmp") == 0o1777
    assert mode(attempt.root / "out") == mode(attempt.root / "vol") == 0o777
    assert mode(attempt.root / "in/d/x") & 0o666 == 0o666
    assert mode(attempt.root / "run.sh") == 0o777


async def test_doing_it_again_does_no_harm(attempt: Attempt) -> None:
    await attempt.store({"mem://b/f": "file"})
    inputs = (Input(path="/in/f", url="mem://b/f"), Input(path="/c", content="written"))
    await attempt.stage(spec(*inputs))
    (attempt.root / "in/f").write_text("half of a longer content")
    await attempt.stage(spec(*inputs))
    assert (attempt.root / "in/f").read_text() == "file"
    assert (attempt.root / "c").read_text() == "written"


async def test_what_is_named_by_itself_comes_before_what_a_directory_has(attempt: Attempt) -> None:
    await attempt.store({"mem://b/d/x": "old", "mem://b/d/y": "old", "mem://b/x": "new"})
    await attempt.stage(
        spec(
            Input(path="/d/y", content="new"),
            Input(path="/d/x", url="mem://b/x"),
            Input(path="/d", url="mem://b/d", type=DIRECTORY),
        )
    )
    assert (attempt.root / "d/x").read_text() == (attempt.root / "d/y").read_text() == "new"


async def test_a_lone_file_is_there_before_it_is_written(attempt: Attempt) -> None:
    step = STEP.__class__(image="i", command=("x",), stdout="/log.txt")
    await attempt.stage(Spec(executors=(step,)))
    assert (attempt.root / "log.txt").read_bytes() == b""
    assert mode(attempt.root / "log.txt") == 0o666


async def test_a_directory_of_nothing_is_a_warning(attempt: Attempt) -> None:
    place = attempt.host / "empty"
    place.mkdir()
    inputs = (
        Input(path="/got", url="mem://b/none", type=DIRECTORY),
        Input(path="/here", url=str(place), type=DIRECTORY),
    )
    await attempt.stage(spec(*inputs), {1: str(place)})
    assert attempt.said(Level.WARNING) == ["download source directory is empty"] * 2
    assert (attempt.root / "got").is_dir()


async def test_a_local_directory_that_is_missing_is_an_error(attempt: Attempt) -> None:
    attempt.plan = attempt.planned(spec(Input(path="/d", url="/no", type=DIRECTORY)), {})
    moving = Transfers(LocalStorage([Path("/")]), attempt.transfers.note, 2, Budget())
    with pytest.raises(NotFound, match="there is no /no"):
        await stage(attempt.plan, attempt.root, moving, lay_out(attempt.plan, attempt.root))


async def test_what_fails_is_named_and_raised(attempt: Attempt) -> None:
    with pytest.raises(NotFound, match="mem://b/none"):
        await attempt.stage(spec(Input(path="/f", url="mem://b/none")))
    assert attempt.said(Level.ERROR) == ["download failed"]


@pytest.mark.parametrize("name", ["../x", "a/../../x", "", "/", ".", "a\0b", ".."])
async def test_names_from_a_store_do_not_climb(attempt: Attempt, name: str) -> None:
    class Lying(MemoryStorage):
        async def list_objects(self, url: str) -> Sequence[Object]:
            return [Object(f"{url}/x", 1, name)]

    attempt.storage = Lying()
    with pytest.raises(Invalid, match="does not lie in its directory"):
        await attempt.stage(spec(Input(path="/d", url="mem://b/d", type=DIRECTORY)))


async def test_no_more_files_than_allowed_are_on_their_way(attempt: Attempt) -> None:
    class Counting(MemoryStorage):
        now = most = 0

        async def get(self, url: str, to: Path, share: Share | None = None) -> Object:
            self.now += 1
            self.most = max(self.most, self.now)
            try:
                return await super().get(url, to, share)
            finally:
                self.now -= 1

    attempt.storage = counting = Counting()
    await attempt.store({f"mem://b/d/{number}": "x" for number in range(50)})
    await attempt.stage(spec(Input(path="/d", url="mem://b/d", type=DIRECTORY)))
    assert 1 <= counting.most <= 4
    assert len(list((attempt.root / "d").iterdir())) == 50


async def test_a_file_where_a_directory_must_be_is_said_to_be(attempt: Attempt) -> None:
    await attempt.store({"mem://b/f": "file", "mem://b/d/x/y": "1"})
    attempt.write("d/x", "in the way")
    with pytest.raises(FunnelError, match="/d/x"):
        await attempt.stage(spec(Input(path="/d", url="mem://b/d", type=DIRECTORY)))
