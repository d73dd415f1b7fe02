"""Objects of the Data Repository Service, at a server of our own."""

import hashlib
from collections.abc import AsyncGenerator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from repository import CONTENT, PREFIX, Repository, got, names_in, routed

from funnel.core.error import Denied, FunnelError, Invalid, NotFound, Unavailable
from funnel.core.reach import Reach
from funnel.storage.router import Router


@pytest.fixture
async def storage(drs: Repository) -> AsyncGenerator[Router]:
    async with routed(drs) as router:
        yield router


async def test_an_object_is_brought_from_where_it_is(
    storage: Router, drs: Repository, tmp_path: Path
) -> None:
    url = drs.blob("a")
    found = await storage.stat(url)
    assert (found.url, found.size_bytes, found.checksums) == (
        url,
        len(CONTENT),
        {"sha256": hashlib.sha256(CONTENT).hexdigest()},
    )
    assert found.last_modified is not None
    assert await got(storage, url, tmp_path) == CONTENT


async def test_what_gives_access_is_asked_for_and_shown_to_that_host(
    drs: Repository, tmp_path: Path
) -> None:
    drs.access["way"] = {
        "url": drs.url("guarded"),
        "headers": ["authorization: Bearer for-this-file", "Host: elsewhere", "Range: bytes=1-2"],
    }
    url = drs.blob("guarded", {"type": "https", "access_id": "way"})
    drs.bearer = "of-the-repository"
    async with routed(drs) as storage:
        with pytest.raises(Denied, match=r"answered 401.*who are you.*DRSStorage\.Hosts") as caught:
            await storage.stat(url)
        assert "of-the-repository" not in str(caught.value)
    async with routed(drs, bearer="of-the-repository") as storage:
        assert await got(storage, url, tmp_path) == CONTENT
    assert drs.asked[-1] == f"{PREFIX}/guarded/access/way"
    assert drs.files_shown == ["Bearer for-this-file"]


async def test_other_ways_are_tried_where_one_fails(
    storage: Router, drs: Repository, tmp_path: Path
) -> None:
    await storage.put(BytesIO(CONTENT), "mem://there")
    url = drs.blob(
        "a",
        {"type": "mem", "access_url": {"url": "mem://there"}},
        {"type": "https", "access_url": {"url": drs.url("guarded-from-us")}},
        {"type": "globus", "access_url": {"url": "globus://x"}},
    )
    assert await got(storage, url, tmp_path) == CONTENT
    assert drs.files_shown == [""]


@pytest.mark.parametrize(
    "wrong", [{"size": 4}, {"checksums": [{"type": "md5", "checksum": "0" * 32}]}]
)
async def test_what_is_not_as_the_repository_says_is_not_taken(
    storage: Router, drs: Repository, tmp_path: Path, wrong: dict[str, Any]
) -> None:
    url = drs.blob("a", **wrong)
    with pytest.raises(FunnelError, match=r"should have 4 bytes|md5 of what came"):
        await storage.get(url, tmp_path / "to")
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    ("type_", "leads"),
    [
        ("file", "file:///etc/passwd"),
        ("https", "file:///etc/passwd"),
        ("https", "/etc/passwd"),
        ("https", "http://10.0.0.1/x"),
        ("https", "http://169.254.169.254/latest/meta-data"),
        ("https", "https://[::ffff:169.254.169.254]/"),
        ("https", "mem://there"),
        ("drs", "drs://127.0.0.1/a"),
    ],
)
async def test_no_repository_leads_where_nobody_may_go(
    storage: Router, drs: Repository, tmp_path: Path, type_: str, leads: str
) -> None:
    await storage.put(BytesIO(CONTENT), "mem://there")
    url = drs.blob("a", {"type": type_, "access_url": {"url": leads}})
    with pytest.raises((Denied, Invalid)):
        await storage.get(url, tmp_path / "to")
    assert names_in(tmp_path) == []


async def test_a_repository_must_be_where_one_may_go(drs: Repository) -> None:
    async with routed(drs, reach=Reach()) as storage:
        with pytest.raises(Denied, match=r"Outbound\.AllowedNetworks"):
            await storage.stat(drs.blob("a"))
    assert drs.asked == []


async def test_repositories_are_asked_over_https(drs: Repository) -> None:
    async with routed(drs, plain_text=False) as storage:
        with pytest.raises((Denied, Unavailable), match=f"127.0.0.1:{drs.port}"):
            await storage.stat(drs.blob("a"))
    assert drs.asked == []


async def test_a_bundle_is_a_directory(storage: Router, drs: Repository, tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        drs.blob(name)
    drs.bundle("deep", **{"c file": {"id": "c"}})
    url = drs.bundle(
        "all",
        a={"id": "a"},
        inner={"drs_uri": [f"{drs.at}/deep"]},
        flat={"contents": [{"name": "b", "id": "b"}]},
    )
    assert (await storage.stat(url)).size_bytes == 0
    found = await storage.list_objects(url)
    assert [(one.name, one.url, one.size_bytes) for one in found] == [
        (name, f"{url}/{name}", len(CONTENT)) for name in ("a", "flat/b", "inner/c file")
    ]
    for one in found:
        assert await got(storage, one.url, tmp_path) == CONTENT
    assert drs.asked.count(f"{PREFIX}/all") == 1
    with pytest.raises(NotFound, match="'none' in this bundle"):
        await storage.stat(f"{url}/inner/none")


async def test_a_bundle_without_end_is_refused(storage: Router, drs: Repository) -> None:
    drs.bundle("round", again={"id": "round"})
    with pytest.raises(Invalid, match="use an archive"):
        await storage.list_objects(f"{drs.at}/round")


@pytest.mark.parametrize("name", ["../x", "..", "a/b", ""])
async def test_names_in_a_bundle_lead_nowhere_else(
    storage: Router, drs: Repository, name: str
) -> None:
    drs.blob("a")
    with pytest.raises(Invalid, match="has a name"):
        await storage.list_objects(drs.bundle("all", **{name: {"id": "a"}}))


async def test_one_that_takes_its_time_is_asked_again(
    storage: Router, drs: Repository, tmp_path: Path
) -> None:
    drs.later = 3
    assert await got(storage, drs.blob("a"), tmp_path) == CONTENT


@pytest.mark.parametrize(
    "url", ["drs://", "drs:///a", "drs://host", "drs://host/", "drs://dg.4503:abc", "drs://u@h/a"]
)
async def test_what_names_no_object_is_refused(storage: Router, url: str) -> None:
    with pytest.raises(Invalid, match="write drs://host/id"):
        await storage.stat(url)


async def test_it_is_read_only(storage: Router, drs: Repository) -> None:
    with pytest.raises(NotFound, match="no such object"):
        await storage.stat(f"{drs.at}/none")
    with pytest.raises(Denied, match="nothing can be stored"):
        await storage.put(BytesIO(b"x"), f"{drs.at}/a")
    assert storage.takes("DRS://host/id")


async def test_nonsense_is_no_answer(storage: Router, drs: Repository) -> None:
    drs.objects["a"] = {"size": "much"}
    with pytest.raises(Invalid, match="does not answer as DRS has it"):
        await storage.stat(f"{drs.at}/a")
