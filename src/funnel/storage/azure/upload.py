"""Large files to Azure, in blocks that nobody sees until they become a blob, all at once."""

import secrets
from collections.abc import Mapping
from functools import partial
from typing import Final

from funnel.core.error import Invalid
from funnel.core.url import redacted
from funnel.ports import Content, Piece
from funnel.storage.azure.door import Door
from funnel.storage.azure.sums import encoded, md5_of
from funnel.storage.calls import Call
from funnel.storage.content import PART
from funnel.storage.parts import in_parts, tried

MOST: Final = 50_000
"""Blocks of one blob."""
MEBIBYTE: Final = 1 << 20
MD5: Final = "x-ms-blob-content-md5"
"""Of the whole blob, whatever a request or an answer has of it."""
HEAD: Final = '<?xml version="1.0" encoding="utf-8"?>'


class Upload:
    """
    Of one file, once.

    Blocks that do not become a blob nobody sees or can take back by themselves; Azure drops them
    within a week, or when something is stored under the name.
    """

    def __init__(self, door: Door, path: str, url: str, condition: Mapping[str, str]) -> None:
        self._door = door
        self._path = path
        self._url = url
        self._condition = condition
        self._own = secrets.token_hex(8)
        """In the names of blocks: who else stores under the same name has others."""

    async def send(self, content: Content) -> tuple[Mapping[str, str], int]:
        """The headers of the answer, and how many bytes were sent."""
        size = max(PART, -(-content.size // MOST // MEBIBYTE + 1) * MEBIBYTE)
        content.hash_with_md5()
        sizes = await in_parts(content, size, self._block)
        names = (self._name(number) for number, one in enumerate(sizes, 1) if one)
        listed = "".join(f"<Latest>{name}</Latest>" for name in names)
        call = Call(
            url=self._url,
            deed="storing",
            path=self._path,
            method="PUT",
            query={"comp": "blocklist"},
            headers={MD5: encoded(bytes.fromhex(content.md5)), **self._condition},
            body=f"{HEAD}<BlockList>{listed}</BlockList>".encode(),
        )
        # Under a condition, a try whose answer is lost may have stored what the next one finds.
        ask = partial(self._door.headers, call)
        headers = await (ask() if self._condition else tried(ask))
        return headers, sum(sizes)

    async def _block(self, number: int, piece: Piece) -> int:
        if number > MOST:
            raise Invalid(f"{redacted(self._url)}: it has more than {MOST} blocks")
        if not piece:
            return 0
        call = Call(
            url=self._url,
            deed=f"storing block {number}",
            path=self._path,
            method="PUT",
            query={"comp": "block", "blockid": self._name(number)},
            headers={"Content-MD5": await md5_of(piece)},
            body=piece,
            brief=False,
        )
        await tried(lambda: self._door.content(call))
        return len(piece)

    def _name(self, number: int) -> str:
        """All of one length, as Azure wants it."""
        return encoded(f"{self._own}-{number:05}".encode())
