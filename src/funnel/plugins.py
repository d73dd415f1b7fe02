"""Finding adapters by name. Ours and yours come through the same door."""

import difflib
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Generic, TypeVar

from funnel.core.error import Invalid
from funnel.core.reach import Reach
from funnel.core.task import TaskId
from funnel.core.url import redacted
from funnel.core.value import Value
from funnel.metrics import Metrics
from funnel.ports import Clock, Store, Tasks

S = TypeVar("S", bound=Value)
T = TypeVar("T")


def no_store(url: str) -> Store:
    raise Invalid(f"there is no store for {redacted(url)}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """What the program that opens an adapter offers it."""

    now: Clock
    metrics: Metrics = field(default_factory=Metrics)
    deployment: str
    """Names this deployment in the labels of containers and jobs."""
    private: tuple[Path, ...] = ()
    """Files and directories of our own, which no task may name."""
    reach: Reach = field(default_factory=Reach)
    """Where requests to URLs that users name may go."""
    store: Callable[[str], Store] = no_store
    """That of a URL, for storages which lead to others."""
    tasks: Tasks | None = None
    run_attempt: Callable[[TaskId, int], Awaitable[None]] | None = None
    """Runs one attempt, given its fence, in this process; for backends that work here."""


@dataclass(frozen=True, slots=True)
class Plugin(Generic[S, T]):
    """
    A settings class, what to make of it, and the section of the settings file that it reads.

    Modules that hold a `PLUGIN` are loaded to check settings, so they import heavy libraries
    inside `make`.
    """

    section: str
    settings: type[S]
    make: Callable[[S, Host], AbstractAsyncContextManager[T]]
    remote: bool = False
    """Of a backend: whether its workers are away from the server and come for their attempts."""
    any_host: bool = False
    """Of a storage: whether it takes URLs of any host, and so is asked after all others."""


def names(kind: str) -> tuple[str, ...]:
    return tuple(sorted(point.name for point in entry_points(group=f"funnel.{kind}")))


def storage_names() -> tuple[str, ...]:
    """In the order in which they are asked whether a URL is theirs."""
    return tuple(sorted(names("storage"), key=lambda name: find("storage", name).any_host))


def find(kind: str, name: str) -> Plugin[Any, Any]:
    known: Mapping[str, Any] = {point.name: point for point in entry_points(group=f"funnel.{kind}")}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        raise Invalid(f"unknown {kind} {name!r}" + (f", did you mean {near[0]!r}?" if near else ""))
    plugin: Plugin[Any, Any] = known[name].load()
    return plugin
