"""Describing a task in a line."""

import re
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike, fspath
from os.path import normpath
from pathlib import Path
from typing import Final, TypeAlias, TypedDict, Unpack

from funnel.core.task import Executor, FileType, Input, Output, Resources, Spec

File: TypeAlias = str | PathLike[str]
SCHEME: Final = re.compile(r"[a-z0-9]+://")


class More(TypedDict, total=False):
    """What else may be said of a task, named as in TES."""

    name: str
    description: str
    resources: Resources
    volumes: tuple[str, ...]
    tags: Mapping[str, str]


def task(
    command: str | Sequence[str],
    *,
    image: str = "alpine",
    inputs: Mapping[str, File] | None = None,
    outputs: Mapping[str, File] | None = None,
    env: Mapping[str, str] | None = None,
    **more: Unpack[More],
) -> Spec:
    """
    A task of one command: text for a shell, or the words of a program and its arguments.

    Inputs and outputs are files here, or URLs, by names under which the command finds their paths
    in its environment; what ends in a slash is a directory.

    >>> task('sort "$animals"', inputs={"animals": "s3://zoo/animals"}).executors[0].env
    {'animals': '/inputs/zoo/animals'}
    """
    brought = tuple(_inputs(inputs or {}))
    stored = tuple(_outputs(outputs or {}))
    files: Sequence[Input | Output] = (*brought, *stored)
    paths = {one.name: one.path for one in files}
    words = ("sh", "-c", command) if isinstance(command, str) else tuple(command)
    executor = Executor(image=image, command=words, env={**paths, **(env or {})})
    return Spec(executors=(executor,), inputs=brought, outputs=stored, **more)


def url(path: str) -> str:
    """
    Where a file is; a path counts from the current directory.

    >>> url("s3://bucket/key"), url("/data/x")
    ('s3://bucket/key', 'file:///data/x')
    """
    return path if SCHEME.match(path) else f"file://{normpath(Path.cwd() / path)}"


def inside(root: str, path: str) -> str:
    """
    Where a container sees a file: below `root`, named as outside.

    >>> inside("/inputs", "/data/x")
    '/inputs/data/x'
    """
    return f"{root}/{SCHEME.sub('', url(path), count=1).lstrip('/')}"


def _inputs(given: Mapping[str, File]) -> Iterator[Input]:
    for name, path in _named(given):
        yield Input(name=name, url=url(path), path=inside("/inputs", path), type=_type(path))


def _outputs(given: Mapping[str, File]) -> Iterator[Output]:
    for name, path in _named(given):
        yield Output(name=name, url=url(path), path=inside("/outputs", path), type=_type(path))


def _named(given: Mapping[str, File]) -> Iterator[tuple[str, str]]:
    return ((name, fspath(path)) for name, path in given.items())


def _type(path: str) -> FileType:
    return FileType.DIRECTORY if path.endswith("/") else FileType.FILE
