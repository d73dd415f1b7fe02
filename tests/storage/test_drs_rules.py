"""Where a DRS server leads a task whose owner may not go everywhere."""

from collections.abc import AsyncGenerator
from io import BytesIO
from pathlib import Path

import pytest
from repository import CONTENT, PREFIX, Repository, got, names_in, routed

from funnel.core.error import Denied
from funnel.core.storageaccess import Rule, StorageRules, prefix_of
from funnel.metrics import Metrics
from funnel.ports import Storage
from funnel.service.permitted import permitted
from funnel.storage.cache import CachedStorage
from funnel.storage.router import Router
from funnel.storage.shelf import Shelf

BY_STORE = {"type": "mem", "access_url": {"url": "mem://lab/bob/x"}}


@pytest.fixture
async def router(drs: Repository) -> AsyncGenerator[Router]:
    async with routed(drs) as router:
        await router.put(BytesIO(CONTENT), "mem://lab/bob/x")
        yield router


def ann(storage: Storage, *read: str) -> Storage:
    rule = Rule(users=frozenset({"ann"}), read=tuple(map(prefix_of, read)))
    return permitted(storage, StorageRules((rule,)), "ann")


async def test_what_a_repository_leads_to_is_judged_as_if_the_user_had_written_it(
    router: Router, drs: Repository, tmp_path: Path
) -> None:
    url = drs.blob("a", BY_STORE)
    with pytest.raises(
        Denied, match=rf"^{url}: .*ann may not read mem://lab/bob/x: no rule in StorageAccess"
    ):
        await ann(router, f"{drs.at}/", "mem://lab/ann/").get(url, tmp_path / "to")
    assert names_in(tmp_path) == []
    assert await got(ann(router, f"{drs.at}/", "mem://lab/bob/"), url, tmp_path) == CONTENT
    assert await got(router, url, tmp_path) == CONTENT


async def test_a_web_server_hears_nothing_that_no_rule_allows(
    router: Router, drs: Repository, tmp_path: Path
) -> None:
    drs.access["way"] = {"url": f"{drs.url('a')}?sig=swordfish"}
    url = drs.blob("a", {"type": "https", "access_id": "way"})
    with pytest.raises(Denied, match=r"StorageAccess\.Rules") as caught:
        await ann(router, f"{drs.at}/").get(url, tmp_path / "to")
    assert "swordfish" not in str(caught.value)
    assert drs.files_shown == []
    both = ann(router, f"{drs.at}/", f"http://127.0.0.1:{drs.port}/")
    assert await got(both, url, tmp_path) == CONTENT


async def test_the_first_way_that_is_allowed_is_gone(
    router: Router, drs: Repository, tmp_path: Path
) -> None:
    by_web = {"type": "https", "access_url": {"url": drs.url("a")}}
    url = drs.blob("a", by_web, BY_STORE)
    assert await got(ann(router, f"{drs.at}/", "mem://lab/bob/"), url, tmp_path) == CONTENT
    assert drs.files_shown == []


async def test_what_another_has_brought_is_for_who_may_read_it(
    router: Router, drs: Repository, tmp_path: Path
) -> None:
    (tmp_path / "cache").mkdir(mode=0o700)
    shelf = Shelf(tmp_path / "cache", 1 << 20)
    shelf.open()
    cached = CachedStorage(router, shelf, Metrics())
    url = drs.blob("a", BY_STORE)
    assert await got(cached, url, tmp_path) == CONTENT
    with pytest.raises(Denied, match="may not read mem://lab/bob/x"):
        await ann(cached, f"{drs.at}/").get(url, tmp_path / "no")
    assert await got(ann(cached, f"{drs.at}/", "mem://lab/"), url, tmp_path) == CONTENT


async def test_in_a_bundle_its_own_server_is_free_and_others_are_judged(
    router: Router, drs: Repository, tmp_path: Path
) -> None:
    drs.blob("a", BY_STORE)
    elsewhere = f"drs://localhost:{drs.port}"
    here = drs.bundle("here", a={"id": "a"}, b={"drs_uri": [f"{drs.at}/a"]})
    there = drs.bundle("there", a={"drs_uri": [f"{elsewhere}/a"]})
    storage = ann(router, here, there, "mem://lab/bob/")
    await storage.get(f"{here}/", tmp_path / "to")
    assert sorted(names_in(tmp_path / "to")) == ["a", "b"]
    before = drs.asked.count(f"{PREFIX}/a")
    for leads in (storage.list_objects(there), storage.stat(f"{there}/a")):
        with pytest.raises(Denied, match=rf"may not read {elsewhere}/a"):
            await leads
    assert drs.asked.count(f"{PREFIX}/a") == before


async def test_for_another_task_nothing_is_left_of_a_judgement(
    router: Router, drs: Repository
) -> None:
    url = drs.blob("a", BY_STORE)
    with pytest.raises(Denied):
        await ann(router, f"{drs.at}/").stat(url)
    assert (await router.stat(url)).size_bytes == len(CONTENT)
