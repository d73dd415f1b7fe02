"""What a worker and the server tell each other about an attempt, as it is on the wire."""

from collections.abc import Sequence
from typing import Final

from msgspec import DecodeError, json

from funnel.core.error import Invalid
from funnel.core.event import Change, Created
from funnel.core.fold import Progress

PROTOCOL: Final = 1
LARGEST: Final = 64 << 20
"""Bytes of one batch of events."""

_CHANGES: Final = json.Decoder(tuple[Change, ...])
_CREATED: Final = json.Decoder(Created)
_PROGRESS: Final = json.Decoder(Progress)

written: Final = json.encode


def read_events(body: bytes) -> Sequence[Change]:
    """Names that are not known are passed over. Raises `Invalid`, for a kind of event too."""
    try:
        return _CHANGES.decode(body)
    except DecodeError as error:
        raise Invalid(f"these are no events: {error}") from error


def read_assignment(created: bytes, progress: bytes) -> tuple[Created, Progress]:
    """Raises `Invalid`."""
    try:
        return _CREATED.decode(created), _PROGRESS.decode(progress)
    except DecodeError as error:
        raise Invalid(f"the server's task cannot be read: {error}") from error
