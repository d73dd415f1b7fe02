"""Bringing the inputs of a task."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from funnel.core.error import Invalid
from funnel.core.event import Level
from funnel.core.path import Parts, parts
from funnel.core.plan import Content, Download, Plan
from funnel.core.task import FileType
from funnel.ports import Object, Storage
from funnel.service.together import together

Note: TypeAlias = Callable[[Level, str, Mapping[str, str]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Transfers:
    """What moving files takes: `most` files at a time; `note` hears of each."""

    storage: Storage
    note: Note
    most: int


async def stage(plan: Plan, root: Path, transfers: Transfers) -> None:
    """
    Make the directories and files of a plan under `root`.

    Doing it again does no harm. Raises what the storage raises.
    """
    await asyncio.to_thread(_make, plan, root)
    storage, note, turn = transfers.storage, transfers.note, asyncio.Semaphore(transfers.most)

    async def get(url: str, to: Path) -> None:
        async with turn:
            await note(Level.INFO, "download started", {"url": url})
            got = await storage.get(url, to)
            await note(Level.INFO, "download finished", _facts(url, got))

    async def bring(one: Download) -> None:
        at = root.joinpath(*parts(one.path))
        if one.type is FileType.FILE:
            await get(one.url, at)
            return
        found = await storage.list_objects(one.url)
        if not found:
            await note(Level.WARNING, "download source directory is empty", {"url": one.url})
        await asyncio.to_thread(_make_directory, root, parts(one.path))
        await together(get(each.url, at.joinpath(*_below(each))) for each in found)

    await together(bring(one) for one in plan.downloads)


def _facts(url: str, got: Object) -> Mapping[str, str]:
    return {"url": url, "size": str(got.size_bytes), "etag": got.etag}


def _below(one: Object) -> Parts:
    """Where a listed object goes; a name from outside may try to climb."""
    if ".." in one.name.split("/") or "\0" in one.name:
        raise Invalid(f"{one.url} has a name that leads out of its directory: {one.name!r}")
    return parts(one.name)


def _make(plan: Plan, root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o755)
    for folder in plan.folders:
        _make_directory(root, parts(folder)).chmod(0o1777)
    for file in plan.files:
        at = parts(file)
        _make_directory(root, at[:-1])
        to = root.joinpath(*at)
        to.touch()
        to.chmod(0o666)
    for content in plan.contents:
        _write(content, root)
    for download in plan.downloads:
        _make_directory(root, parts(download.path)[:-1])


def make_folders(plan: Plan, root: Path) -> None:
    """The writable directories of a plan, for whichever user a container has; blocks."""
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o755)
    for folder in plan.folders:
        _make_directory(root, parts(folder)).chmod(0o1777)


def _write(content: Content, root: Path) -> None:
    at = parts(content.path)
    _make_directory(root, at[:-1])
    to = root.joinpath(*at)
    to.write_bytes(content.text.encode())
    to.chmod(0o644)


def _make_directory(root: Path, at: Parts) -> Path:
    """A directory below `root` that any user of a container may enter."""
    here = root
    for part in at:
        here = here / part
        if not here.is_dir():
            here.mkdir()
            here.chmod(0o755)
    return here
