"""The files of one attempt, and a secret of the host beside them."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Any

from funnel.core.container import Mount
from funnel.core.event import Level
from funnel.core.plan import Plan, make_plan
from funnel.core.task import Executor, FileType, Output, OutputFileLog, Spec
from funnel.safepath import Tree
from funnel.service.budget import Budget
from funnel.service.publish import publish
from funnel.service.stage import lay_out, stage
from funnel.service.transfers import Transfers
from funnel.storage.memory import MemoryStorage

CANARY = "canary-7c1f"
STEP = Executor(image="alpine", command=("true",))
OUT = Output(path="/out", url="mem://b/out", type=FileType.DIRECTORY)


class Attempt:
    """`root` is what a container sees; `secret` is a file of the host that it must never reach."""

    def __init__(self, top: Path) -> None:
        self.root = top / "attempt" / "root"
        self.root.mkdir(parents=True)
        self.host = top / "host"
        self.host.mkdir()
        self.secret = self.host / "secret"
        self.secret.write_text(CANARY)
        self.storage = MemoryStorage()
        self.notes: list[tuple[Level, str, Mapping[str, str]]] = []
        self.plan = self.planned(Spec(executors=(STEP,), outputs=(OUT,)), {})
        self.made("out")

    @property
    def tree(self) -> Tree:
        return Tree(self.plan.mounts, self.root)

    @property
    def transfers(self) -> Transfers:
        return Transfers(self.storage, self._note, 4, Budget())

    async def _note(self, level: Level, message: str, fields: Mapping[str, str]) -> None:
        self.notes.append((level, message, fields))

    def said(self, level: Level) -> list[str]:
        return [message for one, message, _ in self.notes if one is level]

    def planned(self, spec: Spec, in_place: dict[int, str], *shared: int) -> Plan:
        return make_plan(spec, PurePosixPath(self.root), in_place, shared=frozenset(shared))

    def mount(self, source: Path, target: str, *, writable: bool = False) -> None:
        self.plan = Plan(
            folders=(),
            files=(),
            downloads=(),
            contents=(),
            mounts=(*self.plan.mounts, Mount(str(source), target, writable)),
        )

    def made(self, *names: str) -> None:
        for name in names:
            (self.root / name).mkdir(parents=True, exist_ok=True)

    def write(self, name: str, content: str | bytes = "x") -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    def link(self, name: str, target: str | Path) -> None:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(target)

    async def stage(self, spec: Spec, in_place: dict[int, str] | None = None) -> None:
        self.plan = self.planned(spec, in_place or {})
        await stage(self.plan, self.root, self.transfers, lay_out(self.plan, self.root))

    async def store(self, files: Mapping[str, str]) -> None:
        for url, content in files.items():
            await self.storage.put(BytesIO(content.encode()), url)

    async def publish(
        self, *outputs: Output, strict: bool = False, ok: bool = True
    ) -> Sequence[OutputFileLog]:
        spec = Spec(executors=(STEP,), outputs=outputs or (OUT,))
        return await publish(spec, self.tree, self.transfers, strict=strict, ok=ok)

    async def stored(self) -> dict[str, str]:
        """What is in the storage, by the end of its URL."""
        found = await self.storage.list_objects("mem://b")
        return {one.name: await self.text(one.url) for one in found}

    async def text(self, url: str) -> str:
        to = self.host / "fetched"
        await self.storage.get(url, to)
        return _read(to)


def _read(path: Path) -> str:
    return path.read_bytes().decode(errors="replace")


def output(path: str, url: str, **given: Any) -> Output:
    return Output(path=path, url=url, **given)
