"""Downloads from a store that breaks off, lies, changes and falls silent, by a script."""

import asyncio
import os
import re
from collections.abc import Generator
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path

import pytest
from disks import small_disk
from msgspec.structs import replace
from stormy import (
    AWAY,
    BODY,
    GOOD,
    PIECE,
    QUICK,
    URL,
    Scene,
    Step,
    bytes_of,
    content_of,
    descriptors_below,
)

from funnel.core.error import Denied, Exists, FunnelError, NoSpace, NotFound, Unavailable
from funnel.service.budget import Budget
from funnel.storage import download
from funnel.storage.landing import Corrupt
from funnel.storage.patience import Changed
from funnel.storage.share import Unlimited

CUT = Step(cut=3 * PIECE, error=Unavailable("cut"))
SHORT = Step(cut=3 * PIECE)
SLOW = Step(trickle=0.01)
NEW = BODY[::-1]


class Greedy(Unlimited):
    """Says how much each has wanted to hold."""

    def __init__(self) -> None:
        self.held = list[int]()

    def place(self, memory: int) -> AbstractAsyncContextManager[None]:
        self.held.append(memory)
        return super().place(memory)


@pytest.fixture
def scene(tmp_path: Path) -> Generator[Scene]:
    (tmp_path / "to").mkdir()
    scene = Scene(tmp_path / "to")
    yield scene
    scene.check_nothing_is_left()


@pytest.fixture
def sliced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Further connections help at once, with slices of two pieces."""
    monkeypatch.setattr(download, "AFTER", 0.0)
    monkeypatch.setattr(download, "FAST", 1 << 60)
    monkeypatch.setattr(download, "SLICE", 2 * PIECE)


async def test_it_goes_on_where_it_broke_off(scene: Scene) -> None:
    assert await scene.get(CUT, SHORT, Step(cut=0), GOOD) == BODY
    assert [start for start, _ in scene.store.asked] == [0, 3 * PIECE, 6 * PIECE, 6 * PIECE]
    assert scene.store.sent == len(BODY)


async def test_what_is_no_file_is_not_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FunnelError, match="something that is no file"):
        await Scene(tmp_path).storage.get(URL, tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


async def test_a_store_that_begins_with_the_first_byte_is_read_past_it(scene: Scene) -> None:
    scene.store.ranged = False
    assert await scene.get(CUT, SHORT, Step(cut=5 * PIECE + 7), GOOD) == BODY


@pytest.mark.parametrize("at", [0, 2 * PIECE + 1, 3 * PIECE, 5 * PIECE])
async def test_versions_that_nothing_tells_apart_are_not_mixed(scene: Scene, at: int) -> None:
    scene.store.ranged = scene.store.tagged = scene.store.summed = False
    cut = Step(cut=6 * PIECE, error=Unavailable("cut"))
    assert await scene.get(SHORT, cut, Step(cut=8 * PIECE), GOOD) == BODY
    new = BODY[:at] + NEW[at:]
    assert await scene.get(cut, Step(changes=new)) == new


async def test_an_answer_that_begins_too_late_is_not_taken(scene: Scene) -> None:
    assert await scene.get(CUT, Step(early=10), GOOD) == BODY
    with pytest.raises(Unavailable, match="from byte 10 on, not from 0"):
        await scene.get(*[Step(early=10)] * 3)


async def test_of_an_object_that_changes_only_one_version_comes(scene: Scene) -> None:
    assert await scene.get(CUT, Step(changes=NEW)) == NEW


async def test_of_an_object_that_changes_in_its_size_only_one_version_comes(scene: Scene) -> None:
    assert await scene.get(CUT, Step(changes=BODY[:5000])) == BODY[:5000]


async def test_an_object_that_always_changes_is_given_up(scene: Scene) -> None:
    with pytest.raises(Changed, match=re.escape(f"{URL} changed")):
        await scene.get(*(one for n in range(3) for one in (CUT, Step(changes=bytes([n]) + BODY))))
    assert len(scene.store.asked) == 6


async def test_what_is_not_what_the_store_has_comes_anew(scene: Scene) -> None:
    assert await scene.get(Step(spoiled=True)) == BODY


async def test_what_is_never_what_the_store_has_is_an_error(scene: Scene) -> None:
    with pytest.raises(Corrupt, match=rf"{URL}: the md5 .* [0-9a-f]{{32}}$"):
        await scene.get(*[Step(spoiled=True)] * 3)
    assert len(scene.store.asked) == 3


async def test_a_spoiled_end_is_seen_too(scene: Scene) -> None:
    with pytest.raises(Corrupt):
        await scene.get(*[CUT, Step(spoiled=True)] * 3)


async def test_without_a_size_all_that_comes_is_taken(scene: Scene) -> None:
    assert await scene.get(Step(sized=False)) == BODY


async def test_a_size_may_be_told_later(scene: Scene) -> None:
    unsized = Step(sized=False, cut=PIECE, error=Unavailable("cut"))
    assert await scene.get(unsized, SHORT, GOOD) == BODY
    assert await scene.get(CUT, Step(sized=False)) == BODY


async def test_nothing_new_for_all_tries_is_given_up(scene: Scene) -> None:
    with pytest.raises(Unavailable, match="away; that was try 3, the last"):
        await scene.get(CUT, AWAY, AWAY, AWAY)
    assert len(scene.store.asked) == 3


async def test_whatever_comes_renews_the_patience(scene: Scene) -> None:
    assert await scene.get(AWAY, AWAY, CUT, AWAY, CUT, AWAY, CUT, AWAY) == BODY


async def test_drops_do_not_renew_the_patience(scene: Scene) -> None:
    scene.store.piece = 10
    scene.patience = replace(QUICK, worth=1000)
    with pytest.raises(Unavailable, match="ended after 30 of 10240 bytes"):
        await scene.get(*[Step(cut=10)] * 50)
    assert len(scene.store.asked) == 3


@pytest.mark.parametrize("step", [Step(stalls=True), Step(cut=PIECE, stalls=True)])
async def test_silence_is_given_up(scene: Scene, step: Step) -> None:
    assert await scene.get(step) == BODY
    scene.patience = replace(QUICK, worth=PIECE * 9)
    with pytest.raises(Unavailable, match=r"0 bytes in 0\.3 s"):
        await scene.get(*[step] * 30)


async def test_a_trickle_is_given_up(scene: Scene) -> None:
    scene.store.piece = 1
    assert await scene.get(Step(trickle=0.1)) == BODY
    assert 1 < scene.store.asked[1][0] < 5


async def test_a_store_is_not_asked_before_it_wants_to(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    slept, sleep = list[float](), asyncio.sleep

    async def noted(seconds: float) -> None:
        slept.extend([seconds] if seconds else [])
        await sleep(0)

    monkeypatch.setattr("funnel.storage.patience.asyncio.sleep", noted)
    slow_down, for_ever = Unavailable("slow down"), Unavailable("come back next year")
    slow_down.retry_after, for_ever.retry_after = 7.0, 3e7
    assert await scene.get(Step(error=slow_down), Step(error=for_ever)) == BODY
    assert slept[:2] == [7.0, 300.0]


@pytest.mark.parametrize("error", [Denied("no"), FunnelError("what?"), ValueError("a bug")])
async def test_what_another_try_does_not_change_is_not_tried_again(
    scene: Scene, error: Exception
) -> None:
    with pytest.raises(type(error)) as caught:
        await scene.get(CUT, Step(error=error))
    assert caught.value is error


@pytest.mark.usefixtures("sliced")
async def test_slices_come_from_the_end(scene: Scene) -> None:
    assert await scene.get(SLOW) == BODY
    slices = scene.store.asked[1:]
    assert slices[0] == (len(BODY) - 2 * PIECE, len(BODY))
    assert bytes_of(slices, len(BODY)) >= 4 * PIECE


@pytest.mark.usefixtures("sliced")
async def test_slices_go_on_where_they_broke_off(scene: Scene) -> None:
    short = Step(cut=PIECE + 1)
    assert await scene.get(SLOW, short, AWAY, short, AWAY, CUT, GOOD) == BODY


@pytest.mark.usefixtures("sliced")
async def test_slices_of_another_version_do_not_get_in(scene: Scene) -> None:
    assert await scene.get(SLOW, GOOD, Step(changes=NEW)) == NEW


@pytest.mark.usefixtures("sliced")
async def test_a_spoiled_slice_is_seen_and_the_next_time_there_are_none(scene: Scene) -> None:
    assert await scene.get(SLOW, Step(spoiled=True)) == BODY
    assert scene.store.asked[-1] == (0, None)


@pytest.mark.usefixtures("sliced")
async def test_where_slices_are_not_what_was_asked_for_one_connection_does(scene: Scene) -> None:
    assert await scene.get(SLOW, Step(whole=True)) == BODY
    assert scene.store.asked[-1] == (0, None)


@pytest.mark.usefixtures("sliced")
async def test_a_slice_that_fails_for_good_is_one_clean_error(scene: Scene) -> None:
    with pytest.raises(Unavailable, match="away"):
        await scene.get(Step(cut=PIECE, stalls=True), *[AWAY] * 30)
    with pytest.raises(Denied, match="no"):
        await scene.get(SLOW, *[Step(error=Denied("no"))] * 3)


@pytest.mark.usefixtures("sliced")
async def test_spare_connections_are_given_back(scene: Scene) -> None:
    budget = Budget(connections=4)
    for steps in ([SLOW], [SLOW, Step(error=Denied("no"))]):
        with suppress(Denied):
            await scene.get(*steps, share=budget.share())
        share = budget.share()
        async with asyncio.timeout(1), share.place(0), share.spare(9, 0) as spare:
            assert spare == 3


async def test_a_full_disk_is_said_to_be(scene: Scene, tmp_path: Path) -> None:
    scene.store.files[URL] = bytes(3 << 20)
    scene.store.piece = 1 << 20
    with small_disk(tmp_path / "disk", 1) as disk:
        full = Scene(disk, store=scene.store)
        with pytest.raises(NoSpace, match=rf"^{URL}: {disk}/file cannot be written: No space"):
            await full.get()
        full.check_nothing_is_left()
        scene.store.files[URL] = b"small"
        assert await full.get() == b"small"
    assert len(scene.store.asked) == 2


async def test_a_place_that_cannot_be_written_is_a_clean_error(scene: Scene) -> None:
    with pytest.raises(FunnelError, match="/null/x cannot be written: Not a directory"):
        await scene.storage.get(URL, Path("/dev/null/x"))


async def test_an_object_may_have_the_name_of_a_directory(scene: Scene, tmp_path: Path) -> None:
    scene.store.files = {"script://a/d/x": b"1", "script://a/d/x/y": b"2"}
    with pytest.raises(FunnelError, match="cannot be written"):
        await scene.storage.get("script://a/d", tmp_path / "other")
    assert descriptors_below(tmp_path) == []


async def test_of_a_directory_each_file_has_its_own_tries(scene: Scene, tmp_path: Path) -> None:
    files = {str(number): BODY for number in range(20)}
    scene.store.files = {f"script://a/d/{name}": content for name, content in files.items()}
    to, no_file = tmp_path / "other", Step(error=NotFound("no file"))
    scene.store.steps = [no_file, *[AWAY] * 3]
    with pytest.raises(Unavailable):
        await scene.storage.get("script://a/d", to)
    scene.store.steps = [no_file, GOOD, GOOD, *[AWAY] * 8, *[CUT] * 8]
    await scene.storage.get("script://a/d", to)
    assert content_of(to) == files


async def test_what_is_known_to_be_small_holds_no_more_than_it_is(
    scene: Scene, tmp_path: Path
) -> None:
    files = {"script://a/d/one": b"1234", "script://a/d/two": bytes(8 << 20), URL: b"12"}
    scene.store.files, share = files, Greedy()
    await scene.storage.get("script://a/d/", tmp_path / "other", share)
    await scene.storage.get(URL, tmp_path / "single", share)
    assert share.held == [4, download.BUFFER, download.BUFFER]


async def test_looking_and_listing_are_tried_again(scene: Scene) -> None:
    storage, url, no_file = scene.storage, "script://a/d/x", Step(error=NotFound("no file"))
    scene.store.files = {url: BODY}
    scene.store.steps = [AWAY, Step(stalls=True), GOOD]
    assert (await storage.stat(url)).size_bytes == len(BODY)
    scene.store.steps = [AWAY, Step(cut=0, error=Unavailable("torn")), GOOD]
    assert [one.name for one in await storage.list_objects("script://a/d")] == ["x"]
    scene.store.steps = [no_file, AWAY, GOOD]
    assert (await storage.stat("script://a/d")).size_bytes == 0
    for call in (storage.stat, storage.list_objects):
        scene.store.steps = [AWAY] * 3
        with pytest.raises(Unavailable, match="away; that was try 3, the last"):
            await call(url)


async def test_a_list_that_falls_silent_is_given_up(scene: Scene) -> None:
    scene.store.files = {f"script://a/d/{number}": b"" for number in range(5)}
    scene.patience = replace(QUICK, stall=0.02)
    silent = Step(cut=3, stalls=True)
    scene.store.steps = [silent, GOOD]
    assert len(await scene.storage.list_objects("script://a/d")) == 5
    scene.store.steps = [silent] * 3
    with pytest.raises(Unavailable, match="stuck"):
        await scene.storage.list_objects("script://a/d")


async def test_what_an_earlier_try_has_stored_is_known_again(scene: Scene) -> None:
    scene.store.files.clear()
    assert await scene.put(GOOD, Step(lost=True), GOOD, overwrite=False) == BODY


async def test_what_may_be_of_an_earlier_try_is_said_to_be(scene: Scene) -> None:
    scene.store.files.clear()
    scene.store.summed = False
    with pytest.raises(Exists, match="an earlier try may have stored it"):
        await scene.put(GOOD, Step(lost=True), overwrite=False)


async def test_what_others_have_stored_meanwhile_stays(scene: Scene) -> None:
    scene.store.files[URL] = NEW
    with pytest.raises(Exists):
        await scene.put(Step(error=NotFound()), AWAY, GOOD, overwrite=False)
    assert scene.store.files == {URL: NEW}


async def test_nothing_is_sent_where_something_is_already(scene: Scene) -> None:
    scene.store.files[URL] = NEW
    with pytest.raises(Exists, match="script://a/b"):
        await scene.put(GOOD, Step(error=AssertionError()), overwrite=False)
