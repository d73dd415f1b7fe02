"""Containers of an engine that speaks Docker's API."""

import asyncio
import math
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import IO, Any, Final

import msgspec
from msgspec.structs import replace

from funnel.core.container import (
    LABEL_DEPLOYMENT,
    LABEL_TASK,
    Chunk,
    Container,
    Exited,
    Found,
    Stream,
    Usage,
)
from funnel.core.error import CannotStart, Conflict, NotFound, Unavailable
from funnel.core.task import TaskId
from funnel.core.value import Value
from funnel.plugins import Host
from funnel.ports import unheard
from funnel.runtime.address import candidates
from funnel.runtime.engine import Engine, Late, Refusal, engine_at
from funnel.runtime.fault import cannot_start, may_be_of_init, of_init, refused
from funnel.runtime.gauge import Gauges
from funnel.runtime.images import DockerImages
from funnel.runtime.output import follow, last_words
from funnel.runtime.patience import Patience
from funnel.runtime.recipe import Site, eraser, recipe
from funnel.runtime.settings import Settings
from funnel.runtime.state import State, inspect
from funnel.runtime.stdin import feed, first_of

GONE: Final = 404
TAKEN: Final = 409
UNSTARTED: Final = frozenset({"created", "configured"})
NAME_TAKEN: Final = "is already in use"
"""Podman gives another status."""
WAIT_SECONDS: Final = 300.0
"""A wait is asked for again after this long, so that a connection that died unseen is noticed."""
ERASE_SECONDS: Final = 600.0
TRIES: Final = 5
PAUSE: Final = 0.1


class _Made(Value, rename="pascal"):
    id: str


class _Listed(Value, rename="pascal", kw_only=True):
    id: str
    names: tuple[str, ...] = ()
    labels: Mapping[str, str] | None = None
    state: str = ""
    image_id: str = msgspec.field(default="", name="ImageID")


class _Version(Value, rename="pascal"):
    version: str
    api_version: str = ""


class DockerRuntime:
    """Answers `ports.Runtime`."""

    has_files: bool = True

    def __init__(self, engine: Engine, settings: Settings, deployment: str) -> None:
        self._site = Site(
            settings=settings,
            deployment=deployment,
            caller=f"{os.getuid()}:{os.getgid()}",
        )
        self._images = DockerImages(engine, self._site)
        self._engine = engine
        self._version: _Version | None = None
        self._unseen = set[str]()
        self._ended: dict[str, State] = {}
        self._gauges = Gauges()

    async def pull(self, image: str) -> None:
        await self._patience().outlast(lambda: self._images.pull(image))

    async def has_path(self, image: str, path: str) -> bool:
        return await self._patience().outlast(lambda: self._images.has_path(image, path))

    async def create(self, container: Container) -> str:
        if not container.command[:1] or not container.command[0]:
            raise CannotStart(f"the command of {container.name} is empty", 127)
        return await self._patience().outlast(lambda: self._create(container))

    async def _create(self, container: Container) -> str:
        body = recipe(container, await self._agreed())
        for _ in range(TRIES):
            try:
                return await self._make(body, container.name)
            except Refusal as refusal:
                if refusal.status != TAKEN and NAME_TAKEN not in str(refusal):
                    raise cannot_start(str(refusal)) or refused(refusal) from refusal
            if known := await self._adopt(container.name, body["Labels"]):
                return known
        raise Unavailable(f"the engine neither makes nor shows a container {container.name}")

    async def start(self, container_id: str) -> None:
        patience = self._patience()

        async def start() -> None:
            # One that has run already, while the engine was silent, must not run again.
            if patience.was_tried() and not (await self._state(container_id)).waiting:
                return
            await self._start(container_id)

        await patience.outlast(start)

    async def _start(self, container_id: str) -> None:
        try:
            await self._engine.do("POST", f"/containers/{container_id}/start")
        except Refusal as refusal:
            if refusal.status == GONE and "no such container" in str(refusal).lower():
                raise NotFound(f"no container {container_id}") from refusal
            raise cannot_start(str(refusal)) or refusal from refusal

    async def feed(
        self, container_id: str, stdin: IO[bytes], *, fed: Callable[[], object] = unheard
    ) -> None:
        # Some engines keep the connection open when nobody is left to read.
        await first_of(feed(self._engine, container_id, stdin, fed), self._over(container_id))

    def follow(self, container_id: str, *, skip: Mapping[Stream, int]) -> AsyncIterator[Chunk]:
        patience = self._patience()
        look = partial(self._look, container_id, patience)
        return follow(self._engine, container_id, skip, patience, look)

    async def wait(self, container_id: str) -> Exited:
        patience = self._patience()
        while True:
            try:
                state = await self._look(container_id, patience)
                if state.ended:
                    exited = await self._exited(container_id, state)
                    break
                patience.renew()
                if state.waiting:
                    await asyncio.sleep(PAUSE)
                else:
                    await self._stopped(container_id)
            except Unavailable as error:
                await patience.after(error)
        return replace(exited, unseen=container_id in self._unseen)

    async def stop(self, container_id: str, *, grace: timedelta) -> None:
        seconds = math.ceil(grace.total_seconds())
        try:
            await self._engine.do(
                "POST",
                f"/containers/{container_id}/stop",
                params={"t": str(seconds)},
                within=seconds + self._engine.seconds,
            )
        except Refusal as refusal:
            if refusal.status != GONE:
                raise

    async def remove(self, container_id: str, *, grace: timedelta) -> None:
        self._unseen.discard(container_id)
        self._ended.pop(container_id, None)
        self._gauges.forget(container_id)
        try:
            if grace > timedelta(0):
                await self.stop(container_id, grace=grace)
            params = {"v": "1", "force": "1"}
            await self._engine.do("DELETE", f"/containers/{container_id}", params=params)
        except Refusal as refusal:
            if refusal.status == TAKEN:
                await self._gone(container_id)
            elif refusal.status != GONE:
                raise

    async def found(self, *, task_id: TaskId | None = None) -> Sequence[Found]:
        labels = [f"{LABEL_DEPLOYMENT}={self._site.deployment}"]
        if task_id is not None:
            labels.append(f"{LABEL_TASK}={task_id}")
        filters = msgspec.json.encode({"label": labels}).decode()
        params = {"all": "1", "filters": filters}

        async def look() -> list[_Listed]:
            listed = await self._engine.get("/containers/json", list[_Listed], params=params)
            return listed if task_id is None else [await self._settled(one) for one in listed]

        return [_found(one) for one in await self._patience().outlast(look)]

    async def _settled(self, one: _Listed) -> _Listed:
        """
        As it is once a start is through that somebody who has died since had asked for.

        A list tells what was before, and whoever starts it again may run it twice; the look at one
        container waits for what the engine is doing with it.
        """
        if one.state not in UNSTARTED:
            return one
        with suppress(NotFound):
            known = await inspect(self._engine, one.id)
            return msgspec.structs.replace(one, state=known.state.status)
        return one

    async def erase(self, directory: Path, image: str) -> None:
        body = eraser(str(directory), image, await self._agreed())
        container_id = await self._make(body, "")
        try:
            async with asyncio.timeout(ERASE_SECONDS):
                words = await self._erased(container_id)
        except (TimeoutError, Unavailable) as error:
            words = str(error) or "it takes too long"
        finally:
            await self.remove(container_id, grace=timedelta(0))
        if words:
            raise Unavailable(f"cannot empty {directory} in a container of {image!r}: {words}")

    async def describe(self) -> str:
        # An engine runs programs to answer this, so it is asked no more often than must be.
        await self._engine.ping()
        if (version := self._version) is None:
            version = self._version = await self._engine.get("/version", _Version)
        name = "Podman" if self._engine.is_podman else "Docker"
        api = f"API {version.api_version}"
        return f"{name} {version.version} ({api}) at {self._engine.address.url}"

    def close(self) -> None:
        self._gauges.close()

    async def _make(self, body: Mapping[str, Any], name: str) -> str:
        params = {"name": name} if name else {}
        made = await self._engine.do("POST", "/containers/create", params=params, body=body)
        return msgspec.json.decode(made, type=_Made).id

    async def _adopt(self, name: str, labels: Mapping[str, str]) -> str:
        """The id of the container that has the name, "" when it is on its way out."""
        try:
            known = await inspect(self._engine, name)
        except NotFound:
            return ""
        if known.state.status in {"removing", "dead"}:
            await self._gone(known.id)
            return ""
        if not known.is_labelled(labels):
            raise Conflict(f"there is another container named {name}, {known.id[:12]}; remove it")
        return known.id

    async def _erased(self, container_id: str) -> str:
        """What went wrong."""
        await self._engine.do("POST", f"/containers/{container_id}/start")
        exited = await self.wait(container_id)
        if not exited.code:
            return ""
        return await last_words(self._engine, container_id) or f"it ended with {exited.code}"

    async def _exited(self, container_id: str, state: State) -> Exited:
        code, reason = state.exit_code, state.error
        if not reason and may_be_of_init(code):
            code, reason = of_init(code, await last_words(self._engine, container_id))
        gauge = self._gauges.of(container_id)
        return Exited(
            code=code,
            oom_killed=state.oom_killed or bool(gauge and gauge.oom_killed),
            reason=reason,
            usage=gauge.usage if gauge else Usage(),
        )

    async def _over(self, container_id: str) -> None:
        with suppress(NotFound):
            await self.wait(container_id)

    async def _stopped(self, container_id: str) -> None:
        """Return when it is not running; sometimes earlier."""
        try:
            await self._engine.do("POST", f"/containers/{container_id}/wait", within=WAIT_SECONDS)
        except Late:
            return
        except Refusal as refusal:
            if refusal.status != GONE:
                raise

    async def _gone(self, container_id: str) -> None:
        """Return when a removal that somebody else began is done."""
        try:
            async with asyncio.timeout(self._engine.seconds):
                while True:
                    await inspect(self._engine, container_id)
                    await asyncio.sleep(PAUSE)
        except NotFound:
            return
        except TimeoutError as error:
            raise Late(
                f"container {container_id} is being removed, and that does not end"
            ) from error

    async def _state(self, container_id: str) -> State:
        return (await inspect(self._engine, container_id)).state

    async def _look(self, container_id: str, patience: Patience) -> State:
        """Its state; an end is remembered, and whether it came while the engine was gone."""
        state = self._ended.get(container_id) or await self._state(container_id)
        self._gauges.watch(container_id, state.pid)
        if state.ended:
            self._ended[container_id] = state
            if patience.was_tried():
                self._unseen.add(container_id)
        return state

    async def _agreed(self) -> Site:
        """With what is known only once the engine answers."""
        await self._engine.agree()
        return replace(self._site, is_podman=self._engine.is_podman)

    def _patience(self) -> Patience:
        return Patience(self._site.settings.patience.total_seconds())


@asynccontextmanager
async def opened(settings: Settings, host: Host) -> AsyncGenerator[DockerRuntime]:
    where = await asyncio.to_thread(
        lambda: list(candidates(settings.host, os.environ, Path.home()))
    )
    async with engine_at(where, settings.timeout.total_seconds()) as engine:
        runtime = DockerRuntime(engine, settings, host.deployment)
        try:
            yield runtime
        finally:
            runtime.close()


def _found(one: _Listed) -> Found:
    return Found(
        id=one.id,
        name=one.names[0].lstrip("/") if one.names else "",
        labels=one.labels or {},
        started=one.state not in UNSTARTED,
        running=one.state not in UNSTARTED | {"exited", "dead", "stopped"},
        image=one.image_id,
    )
