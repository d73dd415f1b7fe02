"""What a container writes."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from typing import Final

from funnel.core.container import Chunk, Stream
from funnel.core.error import NotFound, Unavailable
from funnel.runtime.demux import Demux, Messages, Pieces, Source
from funnel.runtime.engine import Engine, Refusal
from funnel.runtime.patience import Patience
from funnel.runtime.state import State

REMOVED: Final = (404, 409)
PAUSE: Final = 0.1
BOTH: Final = {"stdout": "1", "stderr": "1"}
TIMED: Final = BOTH | {"timestamps": "1"}
LAST: Final = 1000
"""Messages of the end of a log that are looked at."""
MOST: Final = 1 << 22
"""Bytes of them."""


async def follow(
    engine: Engine,
    container_id: str,
    skip: Mapping[Stream, int],
    patience: Patience,
    look: Callable[[], Awaitable[State]],
) -> AsyncGenerator[Chunk]:
    """
    All output until the container has ended or is removed, less what is skipped.

    Engines may end the live stream before its last lines, or be restarted. So what comes after
    the bytes that were seen is asked for until nothing more can come.
    """
    seen = Counter[Stream]({stream: max(0, count) for stream, count in skip.items()})
    log = Log(engine, container_id)
    known = ended = False
    while not ended:
        try:
            state = await look()
            if state.waiting or (known and not state.ended):
                await asyncio.sleep(PAUSE)
            known, ended = True, state.ended
            async for chunk in log.rest(seen) if ended else log.live(seen):
                seen[chunk.stream] += len(chunk.data)
                patience.renew()
                yield chunk
        except NotFound:
            if not known:
                raise
            return
        except Unavailable as error:
            if isinstance(error, Refusal) and error.status in REMOVED:
                return
            ended = False
            await patience.after(error)


class Log:
    """What is kept of the output of one container; `skip` is what was seen of it."""

    def __init__(self, engine: Engine, container_id: str) -> None:
        self._engine = engine
        self._path = f"/containers/{container_id}/logs"
        self._told: Source | None = None
        """By this all of a live stream went, which came to its end."""

    async def live(self, skip: Mapping[Stream, int]) -> AsyncGenerator[Chunk]:
        """Till the container ends, or nearly so."""
        self._told, source = None, self._source()
        async for chunk in self._chunks(Demux(skip, source), follow="1"):
            yield chunk
        self._told = source

    async def rest(self, skip: Mapping[Stream, int]) -> AsyncGenerator[Chunk]:
        """
        Of a container that has ended.

        The end of the log mostly says what the live stream has not told: to read all of it would
        take as long once more.
        """
        source, self._told = self._told, None
        if isinstance(source, Messages) and (missing := await self._missing(source)) is not None:
            demux = Demux({}, source)
            for chunk in demux.feed(missing):
                yield chunk
        else:
            demux = Demux(skip, self._source())
            async for chunk in self._chunks(demux):
                yield chunk
        for chunk in demux.end():
            yield chunk

    async def _missing(self, source: Messages) -> bytes | None:
        """None where only the whole log can tell."""
        end = bytearray()
        async with aclosing(self._read(tail=str(LAST))) as log:
            async for data in log:
                end += data
                if len(end) > MOST:
                    return None
        return source.after(bytes(end))

    async def _chunks(self, demux: Demux, **params: str) -> AsyncGenerator[Chunk]:
        async for data in self._read(**params):
            for chunk in demux.feed(data):
                yield chunk

    async def _read(self, **params: str) -> AsyncGenerator[bytes]:
        params |= BOTH if self._engine.is_podman else TIMED
        async with self._engine.ask("GET", self._path, params=params, within=None) as response:
            async for data in response.content.iter_any():
                yield data

    def _source(self) -> Source:
        return Pieces() if self._engine.is_podman else Messages(lost=self._engine.loses_ends)


async def last_words(engine: Engine, container_id: str, *, most: int = 4096) -> str:
    """The end of what a container wrote to stderr, for people."""
    params = {"stderr": "1", "tail": "10"}
    demux = Demux({})
    words = b""
    async with engine.ask("GET", f"/containers/{container_id}/logs", params=params) as response:
        async for data in response.content.iter_any():
            for chunk in demux.feed(data):
                words = (words + chunk.data)[-most:]
    return words.decode(errors="replace").strip()
