"""Large files to Google Storage, in chunks: each goes on where the one before was kept to."""

import asyncio
import logging
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from typing import Final, NamedTuple

from msgspec import json

from funnel.core.backoff import delays
from funnel.core.error import FunnelError, Unavailable
from funnel.core.url import redacted
from funnel.net.client import Answer
from funnel.net.jitter import chance, jittered
from funnel.ports import Content, Piece
from funnel.storage.calls import Call
from funnel.storage.content import PART
from funnel.storage.google.door import Door, Spoiled
from funnel.storage.threads import ended
from funnel.storage.web import heard

log = logging.getLogger(__name__)

TRIES: Final = 4
"""Of one chunk; then the whole upload has failed, and may be tried again."""
PATIENCE: Final = 30.0
"""Seconds for Google to forget an upload."""
MORE: Final = 308
GONE: Final = frozenset({404, 410})
FORGOTTEN: Final = GONE | {499}
KEPT: Final = re.compile(r"bytes=0-(\d+)")


class Lost(Unavailable):
    """All of it has to be sent anew."""


class _Chunk(NamedTuple):
    at: int
    piece: Piece
    total: int | None
    """Bytes of the whole; None until the last chunk."""
    sums: Mapping[str, str] = {}

    @property
    def end(self) -> int:
        return self.at + len(self.piece)

    def range_from(self, at: int) -> str:
        span = f"{at}-{self.end - 1}" if at < self.end else "*"
        return f"bytes {span}/{'*' if self.total is None else self.total}"


class Upload:
    """Of one file, once. The URL of the session says by itself who may use it."""

    def __init__(self, door: Door, url: str, condition: Mapping[str, str]) -> None:
        self._door = door
        self._url = url
        self._condition = condition
        self._session = ""

    async def send(self, content: Content, path: str, name: str) -> bytes:
        """
        What Google says of the object. Where it fails or is cancelled, what has come is dropped.

        What is left by a program that was killed nobody sees, and Google drops it in a week.
        """
        await self._begin(path, name)
        try:
            async for chunk in _chunks(content):
                stored = await self._chunk(chunk)
                if stored is not None:
                    return stored
        except BaseException:
            await ended(asyncio.create_task(self._forget()))
            raise
        raise Unavailable(f"{redacted(self._url)}: the upload has no end")

    async def _begin(self, path: str, name: str) -> None:
        call = Call(
            url=self._url,
            deed="storing",
            path=path,
            method="POST",
            query={"uploadType": "resumable", "name": name, **self._condition},
            headers={"Content-Type": "application/json"},
            body=json.encode({"name": name, "contentType": "application/octet-stream"}),
        )
        self._session = (await self._door.headers(call)).get("Location", "")
        if not self._session.startswith(("https://", "http://")):
            raise Unavailable(f"{redacted(self._url)}: the store began no upload")

    async def _chunk(self, chunk: _Chunk) -> bytes | None:
        """The answer to the last one. A failure costs what has not been kept, in a few tries."""
        kept, failures, pauses = chunk.at, 0, delays(first=0.5, most=10.0)
        where: int | None = kept
        while failures < TRIES:
            try:
                found = await self._put(chunk, where)
            except Unavailable as error:
                failures += 1
                if failures == TRIES or isinstance(error, Lost | Spoiled):
                    raise
                where = None
                await asyncio.sleep(max(error.retry_after, jittered(next(pauses), chance())))
                continue
            if isinstance(found, bytes):
                return found
            if found == chunk.end and chunk.total is None:
                return None
            failures = 0 if found > kept else failures + (where is not None)
            if found < chunk.at:
                break
            where = kept = found
        raise Unavailable(f"{redacted(self._url)}: what was sent was not kept")

    async def _put(self, chunk: _Chunk, at: int | None) -> bytes | int:
        """What is said at the end, or how much was kept; without `at`, only ask."""
        start = chunk.end if at is None else at
        call = Call(
            url=self._url,
            deed="storing",
            path=self._session,
            method="PUT",
            headers={"Content-Range": chunk.range_from(start), **chunk.sums},
            body=memoryview(chunk.piece)[start - chunk.at :],
            also=GONE | {MORE},
            brief=False,
        )
        async with self._door.ask(call) as answer:
            if answer.status in GONE:
                raise Lost(f"{redacted(self._url)}: the store has lost the upload")
            with heard(self._url, call.deed):
                text = await answer.read()
            return _kept(answer) if answer.status == MORE else text

    async def _forget(self) -> None:
        """Who is cancelled waits for it, but not for long."""
        call = Call(
            url=self._url,
            deed="dropping an upload",
            path=self._session,
            method="DELETE",
            body=b"",
            also=FORGOTTEN,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                await self._door.content(call)
        except (FunnelError, TimeoutError) as error:
            log.debug("%s", error or "nothing was dropped in time")


def _kept(answer: Answer) -> int:
    found = KEPT.fullmatch(answer.headers.get("Range", ""))
    return int(found[1]) + 1 if found else 0


async def _chunks(content: Content) -> AsyncIterator[_Chunk]:
    """The last one is known to be it when there is nothing after it, and may be empty."""
    at = 0
    held: Piece = b""
    async for piece in content.pieces(PART):
        if held:
            yield _Chunk(at, held, None)
            at += len(held)
        held = piece
    yield _Chunk(at, held, at + len(held), hashed(content))


def hashed(content: Content) -> Mapping[str, str]:
    """Have what has been read refused, where something else has come."""
    digest = b64encode(bytes.fromhex(content.md5)).decode()
    return {"X-Goog-Hash": f"md5={digest}"} if digest else {}
