"""Which endpoint answers a path."""

import re
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from funnel.api.answer import Answer
from funnel.api.request import Request
from funnel.core.task import TaskId

Endpoint: TypeAlias = Callable[[Request], Awaitable[Answer]]

OFFICIAL: Final = "/ga4gh/tes/v1"
PREFIXES: Final = (OFFICIAL, "/v1", "")
CANCEL: Final = ":cancel"
BELOW: Final = ("logs", "events")
"""What is below a task."""

_SLASHES: Final = re.compile("/{2,}")


@dataclass(frozen=True, slots=True)
class Route:
    """`template` is the path with `{id}` for what varies, without its prefix."""

    template: str
    methods: Mapping[str, Endpoint]


class Routes:
    """
    `tes` are served under all prefixes, `own` at the root only.

    Paths are matched as they are but for repeated slashes, which some clients make and which
    cannot be redirected since others do not follow.
    """

    def __init__(self, tes: Mapping[str, Route], own: Mapping[str, Route]) -> None:
        self._all = (*tes.values(), *own.values())
        self._exact = dict(_exact(tes, own))
        self._parents = frozenset(f"{prefix}/tasks" for prefix in PREFIXES)
        self._task = tes["/tasks/{id}"]
        self._cancel = tes["/tasks/{id}:cancel"]
        self._below = {name: tes[f"/tasks/{{id}}/{name}"] for name in BELOW}

    def __iter__(self) -> Iterator[Route]:
        return iter(self._all)

    def find(self, path: str) -> tuple[Route, str] | None:
        """The route and the task's id, where there is one in the path."""
        plain = _SLASHES.sub("/", path) if "//" in path else path
        if route := self._exact.get(plain):
            return route, ""
        parent, _, last = plain.rpartition("/")
        if (below := self._below.get(last)) and parent not in self._parents:
            parent, _, task_id = parent.rpartition("/")
            return (below, task_id) if parent in self._parents and task_id else None
        task_id = last.removesuffix(CANCEL)
        if parent not in self._parents or not task_id:
            return None
        return (self._task if task_id == last else self._cancel), task_id


def task_id_of(request: Request) -> TaskId:
    return TaskId(request.task_id)


def _exact(tes: Mapping[str, Route], own: Mapping[str, Route]) -> Iterator[tuple[str, Route]]:
    for template, route in tes.items():
        if "{" not in template:
            yield from ((f"{prefix}{template}", route) for prefix in PREFIXES)
    yield from own.items()
