"""Storing the outputs of a task."""

import asyncio
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from funnel.core.error import FunnelError, Invalid, NotFound
from funnel.core.event import Level
from funnel.core.path import Parts, is_within, parts, text
from funnel.core.task import FileType, Output, OutputFileLog, Spec
from funnel.core.value import Value
from funnel.core.wildcard import has_wildcard, matching, split
from funnel.safepath import Tree
from funnel.service.stage import Transfers
from funnel.service.together import together


class Upload(Value):
    """A file, by its container path, and where it goes."""

    path: str
    url: str


class Missing(Value):
    """Nothing to store, and why."""

    message: str
    fields: Mapping[str, str]
    empty: bool = False


async def publish(
    spec: Spec, tree: Tree, transfers: Transfers, *, strict: bool, ok: bool
) -> tuple[OutputFileLog, ...]:
    """
    Store what the task declared, looked up as its containers saw it.

    What is missing is a warning, or where `strict` an error; after a failed executor (not
    `ok`) it is passed over in silence. Sorted by path within each output.
    """
    logs: list[OutputFileLog] = []
    for output in spec.outputs:
        found = await asyncio.to_thread(_look, output, tree)
        for missing in (one for one in found if isinstance(one, Missing)):
            if ok and strict and not missing.empty:
                raise NotFound(f"{missing.message}: {output.path}")
            if ok:
                await transfers.note(Level.WARNING, missing.message, missing.fields)
        uploads = [one for one in found if isinstance(one, Upload)]
        logs += await _store(uploads, tree, transfers)
    return tuple(logs)


async def _store(
    uploads: Sequence[Upload], tree: Tree, transfers: Transfers
) -> list[OutputFileLog]:
    storage, note, turn = transfers.storage, transfers.note, asyncio.Semaphore(transfers.most)
    done: dict[int, OutputFileLog] = {}

    async def put(number: int, one: Upload) -> None:
        async with turn:
            await note(Level.INFO, "upload started", {"url": one.url})
            source = await asyncio.to_thread(tree.open_file, one.path)
            with source:
                stored = await storage.put(source, one.url)
            size = str(stored.size_bytes)
            await note(Level.INFO, "upload finished", {"url": one.url, "size": size})
            done[number] = OutputFileLog(url=stored.url, path=one.path, size_bytes=size)

    await together(put(number, one) for number, one in enumerate(uploads))
    return [done[number] for number in sorted(done)]


def _look(output: Output, tree: Tree) -> Sequence[Upload | Missing]:
    """What is there for one output; blocks."""
    if has_wildcard(output.path) and (output.path_prefix or tree.kind(output.path) is None):
        return tuple(_matches(output, tree))
    return tuple(_whole(text(parts(output.path)), output.url, output.type, tree))


def _whole(path: str, url: str, kind: FileType, tree: Tree) -> Iterator[Upload | Missing]:
    found = tree.kind(path)
    if found is None:
        yield Missing("output does not exist", {"path": path, "url": url})
    elif found == "directory":
        names = [_utf8(name, path) for name in tree.files(path)]
        yield from (Upload(f"{path.rstrip('/')}/{one}", _below(url, one)) for one in names)
        if not names:
            yield Missing("upload source directory is empty", {"url": url}, empty=True)
    elif kind is FileType.DIRECTORY:
        raise Invalid(f"output {path} shall be a directory, but is a {found}")
    else:
        yield Upload(path, url)


def _matches(output: Output, tree: Tree) -> Iterator[Upload | Missing]:
    base, rest = split(parts(output.path))
    prefix = parts(output.path_prefix) if output.path_prefix else base
    matched = sorted(_expand(base, rest, tree))
    for one in matched:
        below = one[len(prefix) :] if is_within(one, prefix) else one
        path = _utf8(text(one), output.path)
        yield from _whole(path, _below(output.url, "/".join(below)), FileType.FILE, tree)
    if not matched:
        yield Missing("no file matches the output", {"path": output.path, "url": output.url})


def _expand(base: Parts, rest: Parts, tree: Tree) -> Iterable[Parts]:
    """The paths below `base` that the parts of a pattern match."""
    if not rest:
        return [base] if tree.kind(text(base)) else []
    try:
        names = tree.names(text(base))
    except NotFound:
        return []
    found: list[Parts] = []
    for name in matching(rest[0], iter(names)):
        found += _expand((*base, name), rest[1:], tree)
    return found


def _below(url: str, name: str) -> str:
    return f"{url.rstrip('/')}/{name}"


def _utf8(name: str, path: str) -> str:
    try:
        name.encode()
    except UnicodeEncodeError:
        shown = os.fsencode(name)
        raise Invalid(f"{path} has a file whose name is not UTF-8: {shown!r}") from None
    return name


def place(source: Path, path: str, tree: Tree) -> None:
    """Put a file of ours at a container path, for later executors and as an output; blocks."""
    try:
        with source.open("rb") as captured, tree.new_file(path) as file:
            while piece := captured.read(1 << 20):
                file.write(piece)
    except OSError as error:
        raise FunnelError(f"cannot write {path}: {error.strerror}") from error
