"""What a task needs on the host, as data."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from pathlib import PurePosixPath
from typing import NamedTuple

from msgspec.structs import replace

from funnel.core.container import Mount
from funnel.core.error import Invalid
from funnel.core.path import Parts, has_below, is_within, is_within_any, outermost, parts, text
from funnel.core.places import SEALED, TMP, is_free, is_of_image, is_of_kernel
from funnel.core.task import FileType, Output, Spec
from funnel.core.value import Value
from funnel.core.wildcard import has_wildcard, split


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
    attempt's root directory is there at its container path. The source of no mount lies
    below a directory that a container can write to, so none can be swapped for another.
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
    writable where the index is in `shared`. An input that the task also writes to, or that
    lies in another or has another in it, is brought instead. Raises `Invalid` for a path
    that cannot be mounted without hiding the image's own files.
    """
    at = [_clear("input", one.path) for one in spec.inputs]
    lent = outermost(at[index] for index in shared & in_place.keys())
    asked = _asked(spec).less(lent)
    alone = _alone(at, lent, asked)
    placed = {
        index: source for index, source in in_place.items() if index in shared or at[index] in alone
    }
    brought = outermost(path for index, path in enumerate(at) if index not in placed)
    points = {path for path in lent if is_within_any(path, brought)}
    open_to = outermost(asked.folders)
    locked = [one for one in brought if one not in asked.files and not is_within_any(one, open_to)]
    return Plan(
        folders=_texts(asked.folders | points),
        files=_texts(asked.files),
        downloads=tuple(
            Download(one.url, text(at[index]), one.type)
            for index, one in enumerate(spec.inputs)
            if index not in placed and not one.content
        ),
        contents=tuple(_contents(spec, asked)),
        mounts=_sorted(
            [
                *(_own(root, path, writable=True) for path in (*open_to, *asked.files)),
                *(_own(root, path, writable=False) for path in locked),
                *(Mount(placed[one], text(at[one]), writable=one in shared) for one in placed),
            ]
        ),
    )


def is_without_files(spec: Spec) -> bool:
    """Whether nothing is brought, kept or shared for a task, but the place for what it forgets."""
    return not (spec.inputs or spec.outputs or spec.volumes) and not any(
        one.stdin or one.stdout or one.stderr or one.workdir for one in spec.executors
    )


def with_workdir(plan: Plan, root: PurePosixPath, workdir: str) -> Plan:
    """
    The plan with a writable directory for an executor to work in, unless it has one there.

    The directory has a name of its own under `root`, so that no mount's source lies in it.
    """
    at = _parts(workdir)
    if at in SEALED or any(is_within(at, parts(mount.target)) for mount in plan.mounts):
        return plan
    name = f".workdir-{sha256(text(at).encode(errors='surrogateescape')).hexdigest()[:16]}"
    mount = Mount(str(root / name), text(at), writable=True)
    folders = (*plan.folders, text((name,)))
    return replace(plan, folders=folders, mounts=_sorted([*plan.mounts, mount]))


class _Asked(NamedTuple):
    """Where the task writes: into `folders` or lone `files`; `written` is each path it names."""

    folders: frozenset[Parts]
    files: frozenset[Parts]
    written: frozenset[Parts]

    def less(self, lent: Sequence[Parts]) -> "_Asked":
        """Without what lies in a directory that is written to where it is."""
        return _Asked(
            *(frozenset(one for one in each if not is_within_any(one, lent)) for each in self)
        )


def _asked(spec: Spec) -> _Asked:
    folders = {TMP, *(_clear("volume", one) for one in spec.volumes)}
    names = set(_streams(spec))
    for one in spec.outputs:
        if has_wildcard(one.path):
            folders.add(_base(one))
        else:
            path = _clear("output", one.path)
            (folders if one.type is FileType.DIRECTORY else names).add(path)
    below = sorted(folders | names | {parts(one.path) for one in spec.inputs})
    lone = {path for path in names if is_of_image(path[:-1])}
    folders |= {path for path in lone if has_below(path, below)}
    folders |= {path[:-1] for path in names - lone}
    tops = outermost(folders)
    workdirs = {_parts(one.workdir) for one in spec.executors}
    return _Asked(
        frozenset(folders | {path for path in workdirs if is_within_any(path, tops)}),
        frozenset(path for path in lone if not is_within_any(path, tops)),
        frozenset(folders | names),
    )


def _alone(at: Sequence[Parts], lent: Sequence[Parts], asked: _Asked) -> set[Parts]:
    """Inputs that nothing is written to, that lie in no other and have none in them."""
    others, written = sorted(at), sorted(asked.written)
    tops = set(outermost(set(at).difference(lent)))
    return {
        path
        for path in at
        if (path in tops or is_within_any(path, lent))
        and not has_below(path, others)
        and path not in asked.written
        and not has_below(path, written)
    }


def _contents(spec: Spec, asked: _Asked) -> Iterator[Content]:
    folders = sorted(asked.folders)
    for one in spec.inputs:
        path = parts(one.path)
        if not one.content:
            continue
        if path in asked.folders or has_below(path, folders):
            raise Invalid(f"input {one.path} is a file, and the task also writes below that path")
        yield Content(text(path), one.content)


def _parts(path: str) -> Parts:
    found = parts(path)
    if ".." in found:
        raise Invalid(f"{path} must not contain '..'")
    return found


def _clear(what: str, path: str) -> Parts:
    """The parts of a path where something of the task may be mounted."""
    found = _parts(path)
    if not is_free(found):
        raise Invalid(
            f"{what} {path} would hide what the image has there;"
            f" use a path of the task's own, as in /data/{what}"
        )
    return found


def _base(output: Output) -> Parts:
    """The deepest directory without a wildcard."""
    base, _ = split(_parts(output.path))
    if is_of_image(base) or is_of_kernel(base):
        raise Invalid(
            f"output {output.path} cannot be matched: a directory at {text(base)} would hide"
            " what the image has there; write to a directory of the task's own, as in /out/*"
        )
    return base


def _streams(spec: Spec) -> Iterator[Parts]:
    """Where output goes that later executors may read; what goes to a device, they may not."""
    for executor in spec.executors:
        for what in ("stdout", "stderr"):
            path: str = getattr(executor, what)
            if path and not is_of_kernel(parts(path)):
                yield _clear(what, path)


def _own(root: PurePosixPath, path: Parts, *, writable: bool) -> Mount:
    return Mount(str(root.joinpath(*path)), text(path), writable)


def _texts(paths: Iterable[Parts]) -> tuple[str, ...]:
    return tuple(text(path) for path in sorted(paths))


def _sorted(mounts: Iterable[Mount]) -> tuple[Mount, ...]:
    """The outer before the inner."""
    return tuple(sorted(mounts, key=lambda mount: parts(mount.target)))
