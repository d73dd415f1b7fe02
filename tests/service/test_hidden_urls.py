"""A worker gets whole URLs; nobody else does."""

from attempts import Bench, said
from test_permitted import Asked, filled, step, writes

from funnel.core.state import State
from funnel.core.task import FileType, Input, Output
from funnel.ports import Live
from funnel.runtime.fake import Program
from funnel.storage.remote import RemoteStorage
from funnel.storage.router import Router
from funnel.testing.build import feed

LAB = "mem://ann:swordfish@lab"


async def all_told(database: Live) -> str:
    return str(await feed(database))


async def test_the_worker_alone_gets_what_urls_hide(
    bench: Bench, programs: dict[str, Program]
) -> None:
    store = Asked()
    bench.storage = Router([bench.storage, RemoteStorage(store)])
    await filled(store, f"{LAB}/x", f"{LAB}/many/y")
    programs["hello"] = writes("/out/z")
    task = await bench.run(
        step("hello"),
        inputs=(
            Input(path="/in", url=f"{LAB}/x"),
            Input(path="/many", url=f"{LAB}/many", type=FileType.DIRECTORY),
        ),
        outputs=(Output(path="/out", url=f"{LAB}/out", type=FileType.DIRECTORY),),
    )
    assert task.state is State.COMPLETE, said(task)
    assert {("read", f"{LAB}/x"), ("read", f"{LAB}/many/y"), ("write", f"{LAB}/out/z")} <= {
        *store.requests
    }
    assert "swordfish" not in str(task)
    assert "swordfish" not in await all_told(bench.database)
    assert [one.url for one in task.logs[0].outputs] == ["mem://ann@lab/out/z"]
    assert (await bench.database.created(task.id)).spec.inputs[0].url == f"{LAB}/x"
