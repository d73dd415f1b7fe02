"""Page tokens: where a list goes on, in a form that nobody is tempted to make up."""

import binascii
from base64 import b64decode, urlsafe_b64encode
from struct import Struct
from zlib import crc32

from funnel.core.error import Invalid

_PLACE = Struct(">q")
_LENGTH = 16
_SALT = 0x7E5


def token(n: int) -> str:
    """
    What stands for the tasks before number `n`.

    >>> place(token(7))
    7
    """
    number = _PLACE.pack(n)
    return urlsafe_b64encode(number + _check(number)).decode()


def place(text: str) -> int:
    """The number in a token. Raises `Invalid` for one that we did not make."""
    if len(text) != _LENGTH:
        raise _garbled(text)
    try:
        whole = b64decode(text, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise _garbled(text) from error
    number, check = whole[: _PLACE.size], whole[_PLACE.size :]
    if check != _check(number):
        raise _garbled(text)
    return int(_PLACE.unpack(number)[0])


def _check(number: bytes) -> bytes:
    return crc32(number, _SALT).to_bytes(4, "big")


def _garbled(text: str) -> Invalid:
    shown = text if len(text) <= 40 else f"{text[:40]}…"
    return Invalid(f"page_token: {shown!r} is not from this server; leave it out to start anew")
