"""What a worker brings and stores for a task, where its owner may not go everywhere."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

import pytest
from attempts import Bench, said, step

from funnel.core.state import State
from funnel.core.storageaccess import Rule, StorageRules, prefix_of
from funnel.core.task import FileType, Input, Output, Task
from funnel.ports import Content, Object, Reading
from funnel.runtime.fake import Inside, Program
from funnel.storage.local import LocalStorage
from funnel.storage.memory import MemoryStore
from funnel.storage.remote import RemoteStorage
from funnel.storage.router import Router

Programs = dict[str, Program]
IN = Input(path="/in", url="mem://lab/ann/x")


class Asked(MemoryStore):
    """Remembers each request."""

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[tuple[str, str]] = []

    async def stat(self, url: str) -> Object:
        self.requests.append(("stat", url))
        return await super().stat(url)

    async def list_objects(self, url: str) -> AsyncIterator[Object]:
        self.requests.append(("list", url))
        async for one in super().list_objects(url):
            yield one

    @asynccontextmanager
    async def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AsyncGenerator[Reading]:
        self.requests.append(("read", url))
        async with super().read(url, start, end, etag) as reading:
            yield reading

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        self.requests.append(("write", url))
        return await super().write(url, content, overwrite=overwrite)


@pytest.fixture
def store(bench: Bench) -> Asked:
    asked = Asked()
    bench.storage = Router([bench.storage, RemoteStorage(asked)])
    return asked


async def filled(store: Asked, *urls: str) -> None:
    for url in urls:
        await RemoteStorage(store).put(BytesIO(b"x"), url)
    store.requests.clear()


def rule(*read: str, write: tuple[str, ...] = ()) -> StorageRules:
    places = {"read": tuple(map(prefix_of, read)), "write": tuple(map(prefix_of, write))}
    return StorageRules((Rule(users=frozenset({"ann"}), **places),))


async def run(bench: Bench, rules: StorageRules, owner: str = "ann", **given: Any) -> Task:
    """A task that was taken when nothing was forbidden."""
    bench.access = rules
    task_id = await bench.create(step("hello"), owner=owner, **given)
    await bench.work_on(task_id)
    return await bench.see(task_id)


async def test_what_is_allowed_is_brought_and_stored(
    bench: Bench, store: Asked, programs: Programs
) -> None:
    await filled(store, IN.url)
    output = Output(path="/out", url="mem://lab/ann/out")
    programs["hello"] = writes("/out")
    task = await run(
        bench, rule("mem://lab/", write=("mem://lab/",)), inputs=(IN,), outputs=(output,)
    )
    assert task.state is State.COMPLETE, said(task)
    assert {what for what, _ in store.requests} >= {"read", "write"}


@pytest.mark.parametrize("owner", ["bob", ""])
@pytest.mark.parametrize(
    "one",
    [
        IN,
        Input(path="/in", url="mem://lab/ann", type=FileType.DIRECTORY),
        Input(path="/in", url="mem://lab/ann/"),
    ],
    ids=["file", "directory", "prefix"],
)
async def test_of_another_user_nothing_is_asked_of_the_store(
    bench: Bench, store: Asked, owner: str, one: Input
) -> None:
    await filled(store, IN.url)
    task = await run(bench, rule("mem://lab/ann/"), owner, inputs=(one,))
    assert task.state is State.SYSTEM_ERROR
    assert "StorageAccess.Rules" in said(task)
    assert store.requests == []


@pytest.mark.parametrize("kind", FileType)
async def test_nothing_is_written_where_one_may_only_read(
    bench: Bench, store: Asked, programs: Programs, kind: FileType
) -> None:
    output = Output(path="/out", url="mem://lab/ann/out", type=kind)
    programs["hello"] = writes("/out" if kind is FileType.FILE else "/out/below")
    task = await run(bench, rule("mem://lab/"), outputs=(output,))
    assert task.state is State.SYSTEM_ERROR
    assert "ann may not write mem://lab/ann/out" in said(task)
    assert store.requests == []


async def test_a_link_on_this_machine_leads_nowhere_else(bench: Bench, programs: Programs) -> None:
    for name in ("ann", "bob"):
        (bench.files / name).mkdir()
        (bench.files / name / "x").write_text(name)
    (bench.files / "ann" / "link").symlink_to(bench.files / "bob")
    mine, rules = bench.files / "ann", rule(f"{bench.files}/ann", write=(f"{bench.files}/ann",))
    for inputs, outputs in (
        ((Input(path="/in", url=f"file://{mine}/link/x"),), ()),
        ((), (Output(path="/out", url=f"{mine}/link/y"),)),
    ):
        programs["hello"] = writes("/out")
        task = await run(bench, rules, inputs=inputs, outputs=outputs)
        assert task.state is State.SYSTEM_ERROR
        assert f"{bench.files}/bob" in said(task)
    assert [one.name for one in (bench.files / "bob").iterdir()] == ["x"]


async def test_a_rule_may_name_a_directory_by_a_link(bench: Bench) -> None:
    (bench.files / "real").mkdir()
    (bench.files / "real" / "x").write_text("x")
    (bench.files / "named").symlink_to(bench.files / "real")
    one = Input(path="/in", url=f"{bench.files}/named/x")
    task = await run(bench, rule(f"{bench.files}/named"), inputs=(one,))
    assert task.state is State.COMPLETE, said(task)


@pytest.mark.parametrize("may_write", [True, False])
async def test_a_shared_directory_is_read_only_for_who_may_only_read(
    bench: Bench, programs: Programs, *, may_write: bool
) -> None:
    bench.storage = LocalStorage([], shared=[bench.files])
    seen: list[bool] = []

    async def look(inside: Inside) -> int:
        seen.extend(one.writable for one in inside.container.mounts if one.target == "/in")
        return 0

    programs["hello"] = look
    url = str(bench.files)
    await run(
        bench,
        rule(url, write=(url,) if may_write else ()),
        inputs=(Input(path="/in", url=url, type=FileType.DIRECTORY),),
    )
    assert seen == [may_write]


def writes(path: str) -> Program:
    async def program(inside: Inside) -> int:
        inside.path(path).write_bytes(b"x")
        return 0

    return program
