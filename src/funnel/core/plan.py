"""What a task needs on the host, as data."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from msgspec.structs import replace

from funnel.core.container import Mount
from funnel.core.error import Invalid
from funnel.core.path import Parts, is_within, parts, text
from funnel.core.task import FileType, Output, Spec
from funnel.core.value import Value
from funnel.core.wildcard import has_wildcard, split

SEALED: Final = frozenset(
    (
        *((part,) for part in ("bin", "boot", "dev", "etc", "lib", "lib32", "lib64", "libx32")),
        *((part,) for part in ("proc", "run", "sbin", "sys", "usr")),
        (),
    )
)
"""Never covered by a directory of ours: the image would not work any more."""

CROWDED: Final = SEALED | {
    *((part,) for part in ["home", "opt", "root", "var"]),
    *(("usr", part) for part in ["bin", "lib", "local", "sbin", "share"]),
    *(("var", part) for part in ["cache", "lib", "log", "run"]),
}
"""Covered only where the task names the directory itself, not as the parent of a file."""


class Download(Value):
    """An input to bring from `url` to the container path `path`."""

    url: str
    path: str
    type: FileType


class Content(Value):
    path: str
    text: str


class Plan(Value, kw_only=True):
    """
    All paths are container paths, but for the sources of `mounts`.

    `folders` are writable directories and `files` empty files to make; what lives under the
    attempt's root directory is there at its container path.
    """

    folders: tuple[str, ...]
    files: tuple[str, ...]
    downloads: tuple[Download, ...]
    contents: tuple[Content, ...]
    mounts: tuple[Mount, ...]


def make_plan(
    spec: Spec,
    root: PurePosixPath,
    in_place: Mapping[int, str],
    *,
    shared: frozenset[int] = frozenset(),
) -> Plan:
    """
    The plan of a task whose own files live under the host directory `root`.

    `in_place` has the host path of each input, by its index, that is mounted where it is;
    writable where the index is in `shared`. Raises `Invalid` for a path that cannot be
    mounted without hiding the image's own files.
    """
    folders = _folders(spec)
    files = frozenset(_lone_files(spec)) - folders
    placed = {
        index: source
        for index, source in in_place.items()
        if index in shared or not _covers(parts(spec.inputs[index].path), folders)
    }
    own = _top(folders) | files
    mounts = [Mount(str(root.joinpath(*path)), text(path), writable=True) for path in own]
    mounts += _input_mounts(spec, root, placed, shared, folders)
    return Plan(
        folders=tuple(text(path) for path in sorted(folders)),
        files=tuple(text(path) for path in sorted(files)),
        downloads=tuple(
            Download(one.url, text(parts(one.path)), one.type)
            for index, one in enumerate(spec.inputs)
            if index not in placed and not one.content
        ),
        contents=tuple(
            Content(text(parts(one.path)), one.content) for one in spec.inputs if one.content
        ),
        mounts=_sorted(mounts),
    )


def with_workdir(plan: Plan, root: PurePosixPath, workdir: str) -> Plan:
    """The plan with a writable directory for an executor to work in, unless it has one there."""
    at = parts(workdir)
    if any(is_within(at, parts(mount.target)) for mount in plan.mounts):
        return plan
    mount = Mount(str(root.joinpath(*at)), text(at), writable=True)
    return replace(plan, folders=(*plan.folders, text(at)), mounts=_sorted([*plan.mounts, mount]))


def _folders(spec: Spec) -> frozenset[Parts]:
    named = [("tmp",), *(parts(volume) for volume in spec.volumes)]
    named += [parts(one.path) for one in spec.outputs if _is_directory(one)]
    for path in named:
        if path in SEALED:
            raise Invalid(
                f"{text(path)} cannot be a writable directory: it would hide what the image has"
                f" there; use one of its own, as in {text((*path, 'data'))}"
            )
    around = [_around(one) for one in spec.outputs if not _is_directory(one)]
    around += [path[:-1] for path in _streams(spec)]
    return frozenset(named) | {path for path in around if path not in CROWDED}


def _around(output: Output) -> Parts:
    """The directory that must be ours, so that the output is found there."""
    if not has_wildcard(output.path):
        return parts(output.path)[:-1]
    base, _ = split(parts(output.path))
    if base in CROWDED:
        raise Invalid(
            f"{output.path} cannot be matched: {text(base)} is the image's own;"
            " write to a directory of the task, as in /out/*"
        )
    return base


def _lone_files(spec: Spec) -> Iterator[Parts]:
    """Files to be written straight into a directory of the image: mounted one by one."""
    files = [one for one in spec.outputs if not _is_directory(one)]
    for one in files:
        path = parts(one.path)
        if not has_wildcard(one.path) and path[:-1] in CROWDED:
            yield path


def _streams(spec: Spec) -> Iterator[Parts]:
    for executor in spec.executors:
        for path in (executor.stdout, executor.stderr):
            if path:
                yield parts(path)


def _is_directory(output: Output) -> bool:
    return output.type is FileType.DIRECTORY and not has_wildcard(output.path)


def _covers(path: Parts, folders: Iterable[Parts]) -> bool:
    return any(is_within(folder, path) for folder in folders)


def _top(folders: frozenset[Parts]) -> frozenset[Parts]:
    """Those that lie below no other."""
    return frozenset(
        path
        for path in folders
        if not any(path != other and is_within(path, other) for other in folders)
    )


def _input_mounts(
    spec: Spec,
    root: PurePosixPath,
    placed: Mapping[int, str],
    shared: frozenset[int],
    folders: frozenset[Parts],
) -> Iterator[Mount]:
    for index, one in enumerate(spec.inputs):
        at = parts(one.path)
        if one.content and _covers(at, folders):
            raise Invalid(f"input {one.path} is a file, and the task also writes below that path")
        if index in placed:
            yield Mount(placed[index], text(at), writable=index in shared)
        elif not any(is_within(at, folder) for folder in folders):
            yield Mount(str(root.joinpath(*at)), text(at))


def _sorted(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """The outer before the inner."""
    return tuple(sorted(mounts, key=lambda mount: parts(mount.target)))
