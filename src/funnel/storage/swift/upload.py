"""Large files in segments: all of them, or none that stays."""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from hashlib import md5
from typing import Final, NamedTuple

from msgspec import json

from funnel.core.error import Denied, Exists, FunnelError, Invalid, NotFound, Unavailable
from funnel.core.url import redacted
from funnel.ports import Content, Piece
from funnel.storage.calls import Call
from funnel.storage.content import PART
from funnel.storage.parts import in_parts, tried
from funnel.storage.swift.door import Door
from funnel.storage.swift.place import LONGEST, Place, path_of
from funnel.storage.swift.segments import BEGUN, Segments
from funnel.storage.unfinished import taken_back
from funnel.together import stopped

log = logging.getLogger(__name__)

SETTLING: Final = 5.0
"""Seconds for what is on its way when an upload is given up."""
PATIENCE: Final = 30.0
"""Seconds for the store to say whether a manifest is in place."""
ROOM: Final = 20
"""Bytes for the name of a segment behind that of the upload."""
MOST: Final = 1000
"""Lines of a manifest."""
SAME: Final = ("X-Container-Read", "X-Container-Write", "X-Storage-Policy")
"""The rights and the policy of a container."""


class Stored(NamedTuple):
    """A segment, or all that a manifest has."""

    name: str
    etag: str
    size: int


class Upload:
    """Of one file to one place, once, on behalf of `url`."""

    def __init__(self, door: Door, place: Place, url: str, *, overwrite: bool) -> None:
        self._door = door
        self._place = place
        self._url = url
        self._overwrite = overwrite
        self._prefix = f"{place.name}/.funnel-{secrets.token_hex(8)}/"
        self._segments = Segments(door, place, url)
        self._sending = set[asyncio.Task[None]]()
        self._names: list[str] = []
        """Of what may be there of it; the last one to go is what says that it is not whole."""

    async def send(self, content: Content) -> Stored:
        """Where it fails or is cancelled, what has come is removed."""
        if len(self._prefix.encode()) + ROOM > LONGEST:
            raise Invalid(f"{redacted(self._url)} has a name too long for an object of segments")
        async with taken_back(redacted(self._url), self._remove):
            await self._begin()
            parts = await in_parts(content, PART, self._segment)
            while len(parts) > MOST:
                parts = [
                    await self._manifest(parts[at : at + MOST]) for at in range(0, len(parts), MOST)
                ]
        stored = await self._publish(parts)
        await self._end()
        return stored

    async def _begin(self) -> None:
        """Says that what lies beside it is not whole, to who sweeps after a program was killed."""
        name = self._new(BEGUN)
        try:
            await self._put(self._place.segments, name, b"")
        except NotFound:
            await self._make_container()
            await self._put(self._place.segments, name, b"")
        except Denied:
            self._names.clear()
            raise

    async def _end(self) -> None:
        """It is stored, whatever happens here."""
        try:
            await self._segments.remove([self._prefix + BEGUN])
        except FunnelError as error:
            log.warning(
                "%s is whole, and a later sweep will see it: %s", redacted(self._url), error
            )

    async def _make_container(self) -> None:
        """With what the one beside it has of `SAME`."""
        headers = await self._segments.container()
        same = {name: headers[name] for name in SAME if name in headers}
        call = Call(
            url=self._url,
            deed=f"making the container {self._place.segments}",
            path=path_of(self._place.segments),
            method="PUT",
            headers=same,
        )
        await self._door.content(call)

    async def _segment(self, number: int, piece: Piece) -> Stored:
        name = self._new(f"{number:08}")
        return await self._persist(self._place.segments, name, piece)

    async def _manifest(self, parts: list[Stored]) -> Stored:
        """Of some of the segments, where they are too many for one."""
        name = self._new(f"{len(self._names):08}.manifest")
        return await self._persist(self._place.segments, name, parts)

    async def _publish(self, parts: list[Stored]) -> Stored:
        """
        Put it in its place.

        Segments are not removed where nobody knows whether the object has them by now.
        """
        putting = asyncio.create_task(self._persist(*self._place, parts))
        try:
            await asyncio.wait([putting])
            return putting.result()
        except BaseException:
            await asyncio.wait([putting], timeout=PATIENCE)
            error = putting.exception() if putting.done() else Unavailable("no answer in time")
            await stopped([putting, *self._sending])
            if isinstance(error, Unavailable):
                log.warning("%s: what was sent stays until it is swept: %s", self._prefix, error)
            elif error:
                async with taken_back(redacted(self._url), self._remove):
                    raise
            raise

    async def _persist(self, container: str, name: str, what: Piece | list[Stored]) -> Stored:
        return await tried(lambda: self._put(container, name, what))

    async def _put(self, container: str, name: str, what: Piece | list[Stored]) -> Stored:
        """Bytes, or a manifest."""
        path = path_of(container, name)
        if not isinstance(what, list):
            etag = await asyncio.to_thread(lambda: md5(what, usedforsecurity=False).hexdigest())
            await self._sent(container, path, what, etag)
            return Stored(name, etag, len(what))
        tags = "".join(one.etag for one in what)
        etag = md5(tags.encode(), usedforsecurity=False).hexdigest()
        body = _manifest_of(self._place.segments, what)
        try:
            await self._sent(container, f"{path}?multipart-manifest=put", body, etag)
        except Exists:
            # An earlier try may have done it, of which no answer came.
            if not await self._is_there():
                raise
        return Stored(name, etag, sum(one.size for one in what))

    async def _is_there(self) -> bool:
        ours = f"{self._place.segments}/{self._prefix}"
        return any(one.startswith(ours) for one in await self._segments.used(self._place.name))

    async def _sent(self, container: str, path: str, body: Piece, etag: str) -> None:
        """It goes on when this is cancelled: what comes after it was removed would stay."""
        is_last = container == self._place.container
        putting = self._door.put(
            self._url,
            path,
            body,
            etag,
            deed="storing" if is_last else f"storing in {container}",
            overwrite=self._overwrite or not is_last,
        )
        task = asyncio.create_task(putting)
        self._sending.add(task)
        task.add_done_callback(self._settled)
        await asyncio.wait([task])
        task.result()

    def _settled(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        # Nobody else may ask how it ended.
        _ = task.cancelled() or task.exception()

    async def _remove(self) -> None:
        """What says that it is not whole goes last, and stays where something may still come."""
        if self._sending:
            await asyncio.wait(self._sending, timeout=SETTLING)
        late = [one for one in self._sending if not one.done()]
        await stopped(late)
        await self._segments.remove(self._names[1:])
        await self._segments.remove([] if late else self._names[:1])

    def _new(self, name: str) -> str:
        self._names.append(self._prefix + name)
        return self._names[-1]


def _manifest_of(container: str, parts: Sequence[Stored]) -> bytes:
    return json.encode(
        [
            {"path": f"/{container}/{one.name}", "etag": one.etag, "size_bytes": one.size}
            for one in parts
        ]
    )
