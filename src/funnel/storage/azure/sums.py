"""MD5 as Azure's headers have it."""

import asyncio
import base64
import hashlib
from typing import Final

from funnel.ports import Piece

SMALL: Final = 1 << 18
"""Bytes; the sum of more is made in a thread."""


async def md5_of(content: Piece) -> str:
    if len(content) <= SMALL:
        return _md5(content)
    return await asyncio.to_thread(_md5, content)


def encoded(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _md5(content: Piece) -> str:
    return encoded(hashlib.md5(content, usedforsecurity=False).digest())
