"""What a container writes."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Final

from funnel.core.container import Chunk, Stream
from funnel.core.error import NotFound, Unavailable
from funnel.runtime.demux import Demux, Messages
from funnel.runtime.engine import Engine, Refusal
from funnel.runtime.patience import Patience
from funnel.runtime.state import State

REMOVED: Final = (404, 409)
PAUSE: Final = 0.1
BOTH: Final = {"stdout": "1", "stderr": "1"}


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
    known = ended = False
    while not ended:
        try:
            state = await look()
            if state.waiting or (known and not state.ended):
                await asyncio.sleep(PAUSE)
            known, ended = True, state.ended
            async for chunk in read(engine, container_id, seen, live=not ended):
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


async def read(
    engine: Engine, container_id: str, skip: Mapping[Stream, int], *, live: bool
) -> AsyncGenerator[Chunk]:
    """What is kept of the output; `live` goes on until the container ends."""
    params = BOTH | ({"follow": "1"} if live else {})
    demux = Demux(skip)
    if not engine.is_podman:
        params |= {"timestamps": "1"}
        demux = Demux(skip, Messages(lost=engine.loses_ends))
    async with engine.ask(
        "GET", f"/containers/{container_id}/logs", params=params, within=None
    ) as response:
        async for data in response.content.iter_any():
            for chunk in demux.feed(data):
                yield chunk
    if not live:
        for chunk in demux.end():
            yield chunk


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
