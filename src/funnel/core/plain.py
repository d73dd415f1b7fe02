"""Specs that are acceptable at a glance, as most are."""

import re
from collections.abc import Sequence
from typing import Final

from funnel.core.task import Executor, Input, Output, Resources, Spec

MANY: Final = 100
LONG: Final = 250
"""Characters, of one text; shorter than any limit."""
LARGE: Final = 1e9

_PATH: Final = re.compile(
    r"/(?!(?:bin|boot|dev|etc|lib|lib32|lib64|libx32|proc|run|sbin|sys|usr|var)(?:/|$))"
    rf"(?=.{{1,{LONG - 1}}}$)\w[\w.-]*(?:/\w[\w.-]*)*",
    re.ASCII,
)
_URL: Final = re.compile(
    rf"(?:[a-z][a-z0-9]{{1,9}}://|/)[\w.-](?:[\w./%?=&:+~-]){{0,{LONG}}}", re.ASCII
)
_IMAGE: Final = re.compile(
    r"(?=.{1,250}$)(?:[a-z0-9]+(?:[.-][a-z0-9]+)*/)*[a-z0-9]+(?:[._-][a-z0-9]+)*(?::\w[\w.-]{0,127})?",
    re.ASCII,
)
_NAME: Final = re.compile(r"[A-Za-z_]\w{0,99}", re.ASCII)


def is_plain(spec: Spec) -> bool:
    """
    Whether it is short, ordinary and acceptable; what is not may still be acceptable.

    Knows no rule that `core.validate` does not know better. It is here because that takes
    twice as long to tell that nothing is wrong.
    """
    tags, resources = spec.tags, spec.resources
    return (
        0 < len(spec.executors) <= MANY
        and len(spec.inputs) + len(spec.outputs) + len(tags) <= MANY
        and not spec.volumes
        and _are_texts((spec.name, spec.description))
        and all(map(_is_executor, spec.executors))
        and all(map(_is_input, spec.inputs))
        and all(map(_is_output, spec.outputs))
        and _are_apart(spec)
        and _are_resources(resources)
        and all(tags)
        and _are_texts([*tags, *tags.values()])
    )


def _are_texts(texts: Sequence[str]) -> bool:
    together = "".join(texts)
    return (
        together.isascii()
        and together.isprintable()
        and (len(together) <= LONG or max(map(len, texts)) <= LONG)
    )


def _is_path(path: str) -> bool:
    return _PATH.fullmatch(path) is not None


def _is_executor(one: Executor) -> bool:
    return (
        _IMAGE.fullmatch(one.image) is not None
        and 0 < len(one.command) <= MANY
        and _are_texts(one.command)
        and len(one.env) <= MANY
        and all(map(_NAME.fullmatch, one.env))
        and _are_texts([*one.env.values()])
        and (not one.workdir or _is_path(one.workdir))
        and (not one.stdin or _is_path(one.stdin))
        and (not one.stdout or _is_path(one.stdout))
        and (not one.stderr or _is_path(one.stderr))
    )


def _is_input(one: Input) -> bool:
    return not one.content and not (one.name or one.description) and _is_file(one)


def _is_output(one: Output) -> bool:
    return not one.path_prefix and not (one.name or one.description) and _is_file(one)


def _is_file(one: Input | Output) -> bool:
    return _is_path(one.path) and _URL.fullmatch(one.url) is not None and one.url[:5] != "file:"


def _are_apart(spec: Spec) -> bool:
    return len({one.path for one in spec.inputs}) == len(spec.inputs) and len(
        {one.url for one in spec.outputs}
    ) == len(spec.outputs)


def _are_resources(one: Resources) -> bool:
    return (
        0 <= one.cpu_cores <= LARGE
        and 0 <= one.ram_gb <= LARGE
        and 0 <= one.disk_gb <= LARGE
        and not one.zones
        and not one.backend_parameters
    )
