"""Names in a container, page by page."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

from msgspec import DecodeError, ValidationError, json

from funnel.core.error import Unavailable
from funnel.core.url import redacted
from funnel.core.value import Value
from funnel.storage.calls import Call
from funnel.storage.swift.door import Door
from funnel.storage.swift.place import path_of
from funnel.storage.web import heard

DIRECTORY: Final = "application/directory"
"""What some tools store to show a directory, without content."""


class Item(Value):
    """An object as a listing has it; of a large one `hash` is that of its manifest."""

    name: str
    bytes: int = 0
    hash: str = ""
    slo_etag: str = ""
    content_type: str = ""
    last_modified: datetime | None = None

    @property
    def etag(self) -> str:
        return (self.slo_etag or self.hash).strip('"')

    @property
    def changed(self) -> datetime | None:
        """In UTC, as it is, though it does not say so."""
        return self.last_modified and self.last_modified.replace(tzinfo=UTC)

    @property
    def is_directory(self) -> bool:
        return is_directory(self.content_type)


async def items(door: Door, container: str, prefix: str, url: str) -> AsyncIterator[Item]:
    """All whose names begin so, in order."""
    marker = ""
    while page := await _page(door, container, {"prefix": prefix, "marker": marker}, url):
        for one in page:
            yield one
        if page[-1].name == marker:
            raise Unavailable(f"{redacted(url)}: the list does not go on behind {marker!r}")
        marker = page[-1].name


async def _page(door: Door, container: str, query: dict[str, str], url: str) -> tuple[Item, ...]:
    """Nothing else says which is the last one: how many it has, each server decides."""
    call = Call(
        url=url,
        deed="listing",
        path=path_of(container),
        query={"format": "json", **query},
    )
    async with door.ask(call) as answer:
        if answer.status == 204:
            return ()
        with heard(url, call.deed):
            text = await answer.read()
    try:
        return json.decode(text, type=tuple[Item, ...])
    except (DecodeError, ValidationError) as error:
        raise Unavailable(f"{redacted(url)}: what came is no list of Swift's") from error


def is_directory(kind: str) -> bool:
    return kind.partition(";")[0].strip().lower() == DIRECTORY
