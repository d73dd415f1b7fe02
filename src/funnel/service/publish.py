"""Storing the outputs of a task."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import islice
from pathlib import Path
from typing import Final, TypeAlias

from funnel.core.error import Denied, FunnelError, Invalid, NotFound
from funnel.core.event import Level
from funnel.core.hiding import hidden
from funnel.core.path import Parts, parts, shown, text
from funnel.core.task import FileType, Output, OutputFileLog, Spec
from funnel.core.url import redacted
from funnel.core.value import Value
from funnel.core.wildcard import has_wildcard, matching, split
from funnel.ports import Share
from funnel.safepath import Kind, Tree, copy
from funnel.service.transfers import Transfers

MOST: Final = 100_000
"""Files of one task: each is logged, and links can make few of them look like any number."""


class Reason(StrEnum):
    MISSING = "missing"
    NOTHING = "nothing"
    """There is nothing in it that could be stored."""
    REFUSED = "refused"


class Upload(Value):
    """A file, by its container path, and where it goes."""

    path: str
    url: str


class Unstored(Value, kw_only=True):
    """What is not stored, and why; `error` is what is raised where it is an error."""

    reason: Reason
    message: str
    fields: Mapping[str, str]
    error: str = ""


Found: TypeAlias = Upload | Unstored


async def publish(
    spec: Spec, tree: Tree, transfers: Transfers, *, strict: bool, ok: bool
) -> tuple[OutputFileLog, ...]:
    """
    Store what the task declared, looked up as its containers saw it.

    What is missing is a warning, or where `strict` an error. All that can be stored is, before
    an error is raised. After a failed executor (not `ok`) what is missing is passed over in
    silence, and nothing is raised. Sorted by path within each output.
    """
    uploads: list[Upload] = []
    refused: list[str] = []
    for output in spec.outputs:
        for one in await asyncio.to_thread(_look, output, tree, MOST - len(uploads)):
            if isinstance(one, Upload):
                uploads.append(one)
            elif level := _level(one.reason, strict=strict, ok=ok):
                await transfers.note(level, one.message, one.fields)
                refused += [one.error] if level is Level.ERROR else []
    logs = await _store(uploads, tree, transfers, ok=ok)
    if refused and ok:
        raise FunnelError(refused[0])
    return logs


def place(sources: Sequence[Path], path: str, tree: Tree) -> None:
    """
    Put files of ours, one behind the other, at a container path; blocks.

    Later executors find them there, and outputs.
    """
    with tree.new_file(path) as made:
        for source in sources:
            with source.open("rb") as captured:
                copy(captured, made)


def _level(reason: Reason, *, strict: bool, ok: bool) -> Level | None:
    """How loud it is said; None is not at all."""
    if reason is Reason.REFUSED:
        return Level.ERROR
    if reason is Reason.MISSING and not ok:
        return None
    return Level.ERROR if reason is Reason.MISSING and strict else Level.WARNING


async def _store(
    uploads: Sequence[Upload], tree: Tree, transfers: Transfers, *, ok: bool
) -> tuple[OutputFileLog, ...]:
    done: dict[int, OutputFileLog] = {}

    async def put(numbered: tuple[int, Upload], share: Share) -> None:
        number, one = numbered
        try:
            done[number] = await _put(one, tree, transfers, share)
        except (FunnelError, OSError) as error:
            fields = {"url": redacted(one.url), "error": str(error)}
            await transfers.note(Level.ERROR, "upload failed", fields)
            if ok:
                raise

    await transfers.abreast(put, tuple(enumerate(uploads)))
    return tuple(done[number] for number in sorted(done))


async def _put(one: Upload, tree: Tree, transfers: Transfers, share: Share) -> OutputFileLog:
    fields = {"url": redacted(one.url)}
    await transfers.note(Level.INFO, "upload started", fields)
    source = await asyncio.to_thread(tree.open_file, one.path)
    with source:
        stored = await transfers.storage.put(source, one.url, share)
    size = str(stored.size_bytes)
    more = {"size": size, "etag": stored.etag}
    await transfers.note(Level.INFO, "upload finished", {**fields, **more})
    return OutputFileLog(url=hidden(stored.url), path=one.path, size_bytes=size)


def _look(output: Output, tree: Tree, most: int) -> Sequence[Found]:
    """What is there for one output; blocks."""
    found: list[Found] = []
    try:
        for one in _found(output, tree):
            found.append(_within(one, output, most - len(found)))
    except FunnelError as error:
        found.append(_refused(output.path, output.url, str(error)))
    return found


def _within(one: Found, output: Output, most: int) -> Found:
    if most < 1:
        raise Denied(
            f"output {output.path} has too many files, of {MOST} that a task may store;"
            " store them as an archive"
        )
    return one


def _found(output: Output, tree: Tree) -> Iterator[Found]:
    path = text(parts(output.path))
    if has_wildcard(path) and (output.path_prefix or tree.kind(path) is None):
        yield from _matches(output, tree)
    else:
        yield from _whole(path, output.url, output.type, tree)


def _whole(path: str, url: str, kind: FileType, tree: Tree) -> Iterator[Found]:
    found = tree.kind(path)
    if found is None or (found is Kind.FILE and tree.is_untouched(path)):
        yield _missing("output does not exist", path, url)
    elif found is Kind.DIRECTORY:
        yield from _members(path, url, tree)
    elif found is not Kind.FILE:
        raise Denied(f"output {path} is a {found}; only files and directories can be stored")
    elif kind is FileType.DIRECTORY:
        raise Invalid(f"output {path} shall be a directory, but is a file; declare it as FILE")
    else:
        yield Upload(path, url)


def _members(path: str, url: str, tree: Tree) -> Iterator[Found]:
    empty = True
    for name, kind in tree.walk(path, most=MOST):
        whole = f"{path}/{name}"
        if kind is not Kind.FILE:
            yield _nothing("only files are stored", path=shown(parts(whole)), kind=kind)
            continue
        empty = False
        if _is_utf8(name):
            yield Upload(whole, _below(url, name))
        else:
            yield _refused(path, url, f"the name of {shown(parts(whole))} is not UTF-8")
    if empty:
        yield _nothing("upload source directory is empty", url=redacted(url))


def _matches(output: Output, tree: Tree) -> Iterator[Found]:
    matched = sorted(_expand(parts(output.path), tree))
    if not matched:
        yield _missing("no file matches the output", output.path, output.url)
    for path in map(text, matched):
        if _is_utf8(path):
            yield from _whole(path, _below(output.url, _pruned(path, output)), FileType.FILE, tree)
        else:
            error = f"the name of {shown(parts(path))} is not UTF-8"
            yield _refused(output.path, output.url, error)


def _expand(pattern: Parts, tree: Tree) -> Sequence[Parts]:
    """The paths that a pattern matches."""
    base, rest = split(pattern)
    found = [base]
    for part in rest:
        deeper = ((*at, name) for at in found for name in _matching(at, part, tree))
        found = list(islice(deeper, MOST + 1))
        if len(found) > MOST:
            raise Denied(f"output {text(pattern)} matches more than {MOST} files")
    return found


def _matching(at: Parts, part: str, tree: Tree) -> Iterator[str]:
    if not has_wildcard(part):
        yield from [part] if tree.kind(text((*at, part))) else []
        return
    try:
        names = tree.names(text(at), most=MOST)
    except NotFound:
        return
    yield from matching(part, iter(names))


def _pruned(path: str, output: Output) -> str:
    """What is added to the URL: the path without its prefix (TES 1.1 `tesOutput.path_prefix`)."""
    return path.removeprefix(text(parts(output.path_prefix))).lstrip("/") or path.rpartition("/")[2]


def _missing(message: str, path: str, url: str) -> Unstored:
    fields = {"path": path, "url": redacted(url)}
    return Unstored(
        reason=Reason.MISSING, message=message, fields=fields, error=f"{message}: {path}"
    )


def _nothing(message: str, **fields: str) -> Unstored:
    return Unstored(reason=Reason.NOTHING, message=message, fields=fields)


def _refused(path: str, url: str, error: str) -> Unstored:
    fields = {"path": path, "url": redacted(url), "error": error}
    return Unstored(
        reason=Reason.REFUSED, message="output cannot be stored", fields=fields, error=error
    )


def _below(url: str, name: str) -> str:
    return f"{url.rstrip('/')}/{name}"


def _is_utf8(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
