"""Bringing the inputs of a task."""

import asyncio
import os
import stat
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Final

from funnel.core.error import FunnelError, Invalid
from funnel.core.event import Level
from funnel.core.path import outermost, parts, text
from funnel.core.places import TMP
from funnel.core.plan import Content, Download, Plan, make_plan
from funnel.core.task import FileType, Spec
from funnel.core.url import redacted
from funnel.core.value import Value
from funnel.ports import Share, Storage, refuse_twins
from funnel.safepath import Kind, Tree
from funnel.service.transfers import Transfers

EVERYBODY: Final = 0o777
"""A container may have any user; on the host, nobody else can enter the attempt's directory."""
STICKY: Final = 0o1777
"""As programs expect it of `/tmp`."""
EMPTY: Final = "download source directory is empty"


class Bring(Value):
    """A file at a URL, and the container path where it goes."""

    url: str
    path: str


def planned(spec: Spec, root: Path, storage: Storage, *, copy_inputs: bool) -> Plan:
    """
    What a task needs here; blocks: it looks where the inputs are.

    Raises `Invalid` before anything has run.
    """
    for one in spec.outputs:
        if not storage.takes(one.url):
            raise Invalid(
                f"no storage takes {one.url}, where {one.path} shall go;"
                " check its scheme, and the storages in the settings"
            )
    urls = {index: one.url for index, one in enumerate(spec.inputs) if not one.content}
    shared = frozenset(index for index, url in urls.items() if storage.shared(url))
    here = {index: storage.in_place(url) for index, url in urls.items()}
    in_place = {
        index: str(path)
        for index, path in here.items()
        if path and (index in shared or not copy_inputs)
    }
    return make_plan(spec, PurePosixPath(root), in_place, shared=shared)


def lay_out(plan: Plan, root: Path) -> Sequence[str]:
    """
    Make what a plan has under `root` and need not be brought; blocks.

    To be done before any container has been there; doing it again does no harm. The inputs, by
    container path, that are mounted where they are and hold nothing.
    """
    _make(plan, root)
    if not plan.downloads:
        _write(plan.contents, root)
    places = [one for one in plan.mounts if not one.writable and not _is_in(root, one.source)]
    return [one.target for one in places if _is_empty(Path(one.source))]


async def stage(plan: Plan, root: Path, transfers: Transfers, empty: Sequence[str]) -> None:
    """
    Bring what a plan that is laid out still lacks, and warn of inputs that are `empty`.

    What is named by itself replaces what a directory has under that name. Doing it again does
    no harm. Raises what the storage raises.
    """
    for path in empty:
        await transfers.note(Level.WARNING, EMPTY, {"path": path})
    if not plan.downloads:
        return
    listed = await _listed(plan, transfers)
    files = [Bring(one.url, one.path) for one in plan.downloads if one.type is FileType.FILE]
    for each in (listed, files):
        await transfers.abreast(partial(_bring, root, transfers), each)
    await asyncio.to_thread(_write, plan.contents, root)


def make_folders(plan: Plan, root: Path) -> None:
    """
    The directories that are mounted, where they are missing; blocks.

    What lies in them is the containers' own, and what it is now is theirs to say.
    """
    tree = Tree((), root)
    for folder in outermost(parts(one) for one in plan.folders):
        if tree.kind(text(folder)) is None:
            tree.make_directory(text(folder), EVERYBODY)


def _make(plan: Plan, root: Path) -> None:
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o755)
    tree = Tree((), root)
    for folder in plan.folders:
        _make_folder(folder, root, tree)
    for one in plan.downloads:
        above = one.path if one.type is FileType.DIRECTORY else text(parts(one.path)[:-1])
        if tree.kind(above) is None:
            tree.make_directory(above, EVERYBODY)
    for file in plan.files:
        if tree.kind(file) is None:
            tree.hold_place(file, mode=0o666)


def _make_folder(folder: str, root: Path, tree: Tree) -> None:
    at = parts(folder)
    mode = STICKY if at == TMP else EVERYBODY
    if not at[1:]:
        # What is made now in a directory of ours alone is no link: the quick way does.
        with suppress(FileExistsError):
            made = root.joinpath(*at)
            made.mkdir(0o700)
            made.chmod(mode)
            return
    tree.make_directory(folder, mode)


def _is_in(root: Path, source: str) -> bool:
    return Path(source).is_relative_to(root)


def _is_empty(place: Path) -> bool:
    return place.is_dir() and not any(place.iterdir())


async def _listed(plan: Plan, transfers: Transfers) -> Sequence[Bring]:
    """The files of all directories."""
    found: dict[Download, Sequence[Bring]] = {}

    async def look(one: Download, _share: Share) -> None:
        objects = await transfers.storage.list_objects(one.url)
        if not objects:
            await transfers.note(Level.WARNING, EMPTY, {"url": redacted(one.url)})
        refuse_twins(objects)
        at = parts(one.path)
        found[one] = [Bring(each.url, text((*at, *each.below()))) for each in objects]

    folders = [one for one in plan.downloads if one.type is FileType.DIRECTORY]
    await transfers.abreast(look, folders)
    return [one for folder in folders for one in found[folder]]


async def _bring(root: Path, transfers: Transfers, one: Bring, share: Share) -> None:
    to, fields = root.joinpath(*parts(one.path)), {"url": redacted(one.url)}
    await transfers.note(Level.INFO, "download started", fields)
    try:
        await asyncio.to_thread(_make_room, one.path, root)
        got = await transfers.storage.get(one.url, to, share)
        await asyncio.to_thread(_hand_over, to)
    except (FunnelError, OSError) as error:
        await transfers.note(Level.ERROR, "download failed", {**fields, "error": str(error)})
        raise
    more = {"size": str(got.size_bytes), "etag": got.etag}
    await transfers.note(Level.INFO, "download finished", {**fields, **more})


def _make_room(path: str, root: Path) -> None:
    above, tree = text(parts(path)[:-1]), Tree((), root)
    kind = tree.kind(above)
    if kind is None:
        tree.make_directory(above, EVERYBODY)
    elif kind is not Kind.DIRECTORY:
        raise Invalid(f"input {path} cannot be there: {above} is a {kind}")


def _hand_over(to: Path) -> None:
    """Let any user of a container read and, where it is not mounted read-only, write it."""
    for one in (to, *to.rglob("*")):
        found = one.lstat().st_mode
        if not stat.S_ISLNK(found):
            one.chmod(stat.S_IMODE(found) | (EVERYBODY if stat.S_ISDIR(found) else 0o666))


def _write(contents: Sequence[Content], root: Path) -> None:
    """As scripts too: some are run by their names."""
    tree = Tree((), root)
    for one in contents:
        with tree.new_file(one.path, mode=EVERYBODY) as made, os.fdopen(os.dup(made), "wb") as file:
            file.write(one.text.encode())
