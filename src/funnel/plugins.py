"""Finding adapters by name. Ours and yours come through the same door."""

import sys
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from funnel.core.error import Invalid
from funnel.core.reach import Reach
from funnel.core.spelling import nearest
from funnel.core.task import TaskId
from funnel.core.url import redacted
from funnel.core.value import Value
from funnel.ports import Clock, Store, Tasks

if TYPE_CHECKING:
    from funnel.metrics import Metrics

S = TypeVar("S", bound=Value)
T = TypeVar("T")


def no_store(url: str) -> Store:
    raise Invalid(f"there is no store for {redacted(url)}")


def no_settings(plugin: "Plugin[Any, Any]") -> Any:
    """As where nothing is set."""
    return plugin.settings()


class Host(Value, kw_only=True, dict=True):
    """What the program that opens an adapter offers it."""

    now: Clock
    counted: "Metrics | None" = None
    """Where others look; without it `metrics` are this host's alone."""
    deployment: str
    """Names this deployment in the labels of containers and jobs."""
    private: tuple[Path, ...] = ()
    """Files and directories of our own, which no task may name."""
    reach: Reach = Reach()
    """Where requests to URLs that users name may go."""
    store: Callable[[str], Store] = no_store
    """That of a URL, for storages which lead to others."""
    settings: "Callable[[Plugin[Any, Any]], Any]" = no_settings
    """Those of another adapter, for one that has to know of it."""
    tasks: Tasks | None = None
    run_attempt: Callable[[TaskId, int], Awaitable[None]] | None = None
    """Runs one attempt, given its fence, in this process; for backends that work here."""

    @cached_property
    def metrics(self) -> "Metrics":
        """What they are made with takes long to load, and not everybody counts."""
        found: Metrics = self.counted or import_module("funnel.metrics").Metrics()
        return found


class Plugin(Value, Generic[S, T]):
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
    return tuple(sorted(_points(kind)))


def storage_names() -> tuple[str, ...]:
    """In the order in which they are asked whether a URL is theirs."""
    return tuple(sorted(names("storage"), key=lambda name: find("storage", name).any_host))


def find(kind: str, name: str) -> Plugin[Any, Any]:
    known = _points(kind)
    if name not in known:
        near = nearest(name, known)
        raise Invalid(f"unknown {kind} {name!r}" + (f", did you mean {near!r}?" if near else ""))
    module, _, attribute = known[name].partition(":")
    plugin: Plugin[Any, Any] = getattr(import_module(module), attribute)
    return plugin


@cache
def _points(kind: str) -> Mapping[str, str]:
    """Entry points of a group, as module:attribute by their names; the first on the path counts."""
    found, group = dict[str, str](), ""
    for line in (line.strip() for text in _texts() for line in text.splitlines()):
        name, equals, target = line.partition("=")
        if line.startswith("["):
            group = line.strip("[]")
        elif group == f"funnel.{kind}" and equals:
            found.setdefault(name.strip(), target.strip())
    return found


@cache
def _texts() -> tuple[str, ...]:
    """
    What installed packages say of their entry points, where they have some for us.

    As `importlib.metadata` reads it; that takes 35 ms, though, in every command.
    """
    paths = (
        one for folder in sys.path for one in Path(folder).glob("*.dist-info/entry_points.txt")
    )
    texts = (one.read_text(encoding="utf-8") for one in paths)
    return tuple(text for text in texts if "[funnel." in text)
