"""Images of one engine."""

import os
from collections.abc import AsyncIterable
from pathlib import Path
from typing import Any, Final

import msgspec

from funnel.core.error import NotFound, Unavailable
from funnel.core.value import Value
from funnel.runtime.credentials import login
from funnel.runtime.engine import Engine, Refusal, Silent, segment
from funnel.runtime.fault import cannot_pull, refused
from funnel.runtime.recipe import Site, probe
from funnel.runtime.settings import PullPolicy
from funnel.runtime.shared import Shared

NOT_FOUND: Final = 404
LONGEST_LINE: Final = 2**20


class _Image(Value, rename="pascal"):
    id: str


class _Made(Value, rename="pascal"):
    id: str


class _Said(Value):
    error: str = ""


class DockerImages:
    """Answers `ports.Images`."""

    def __init__(self, engine: Engine, site: Site) -> None:
        self._engine = engine
        self._policy = site.settings.pull_policy
        self._within = site.settings.pull_timeout.total_seconds()
        self._site = site
        self._pulls = Shared[str, None]()
        self._looks = Shared[tuple[str, str], bool]()
        self._known: dict[tuple[str, str], bool] = {}

    async def pull(self, image: str) -> None:
        if self._policy is not PullPolicy.ALWAYS and await self._id(image):
            return
        if self._policy is PullPolicy.NEVER:
            raise NotFound(
                f"image {image!r} is not here, and Docker.PullPolicy is never; load it into the"
                " engine, or choose another policy"
            )
        await self._pulls.run(image, lambda: self._pull(image))

    async def has_path(self, image: str, path: str) -> bool:
        image_id = await self._id(image)
        if not image_id:
            raise Unavailable(f"image {image!r} is not here")
        key = (image_id, path)
        if key not in self._known:
            self._known[key] = await self._looks.run(key, lambda: self._look(image_id, path))
        return self._known[key]

    async def _id(self, image: str) -> str:
        """Its digest, "" when it is not here."""
        try:
            return (await self._engine.get(f"/images/{segment(image)}/json", _Image)).id
        except Refusal as refusal:
            if refusal.status == NOT_FOUND:
                return ""
            raise refused(refusal) from refusal

    async def _pull(self, image: str) -> None:
        params = {"fromImage": tagged(image)}
        secret = await login(image, os.environ, Path.home())
        headers = {"X-Registry-Auth": secret} if secret else {}
        try:
            async with self._engine.ask(
                "POST", "/images/create", params=params, headers=headers, within=self._within
            ) as response:
                async for line in _lines(response.content.iter_any()):
                    _heed(msgspec.json.decode(line, type=_Said))
        except Silent:
            raise
        except (Unavailable, msgspec.MsgspecError) as error:
            raise cannot_pull(f"cannot pull image {image!r}: {error}") from error

    async def _look(self, image_id: str, path: str) -> bool:
        body = probe(image_id, self._site)
        made = await self._engine.do("POST", "/containers/create", body=body)
        container = f"/containers/{msgspec.json.decode(made, type=_Made).id}"
        try:
            await self._engine.do("HEAD", f"{container}/archive", params={"path": path})
        except Refusal as refusal:
            if refusal.status != NOT_FOUND:
                raise
            return False
        finally:
            await self._engine.do("DELETE", container, params={"v": "1", "force": "1"})
        return True


def tagged(image: str) -> str:
    """
    The image with a tag, for without one an engine pulls all tags there are.

    >>> tagged("host:5000/alpine"), tagged("alpine:3"), tagged("alpine@sha256:ab")
    ('host:5000/alpine:latest', 'alpine:3', 'alpine@sha256:ab')
    """
    name = image.rpartition("/")[2]
    return image if ":" in name or "@" in name else f"{image}:latest"


def _heed(said: _Said) -> None:
    if said.error:
        raise Unavailable(said.error)


async def _lines(content: AsyncIterable[Any]) -> AsyncIterable[bytes]:
    rest = b""
    async for piece in content:
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if line.strip():
                yield line
        if len(rest) > LONGEST_LINE:
            raise Unavailable("the engine reports its progress without an end of line")
    if rest.strip():
        yield rest
