"""Idempotency keys, with which a create that is made again makes no second task."""

from collections.abc import Sequence
from typing import Final

from funnel.core.error import Invalid

IDEMPOTENCY_KEY: Final = "idempotency-key"
LONGEST: Final = 255


def read_key(keys: Sequence[str]) -> str:
    """Raises `Invalid` where it says less than whoever sends it means; without one it is empty."""
    if not keys:
        return ""
    if len(keys) > 1:
        raise Invalid("the Idempotency-Key header is there more than once")
    (key,) = keys
    if not key.strip():
        raise Invalid("the Idempotency-Key header is empty; leave it out or give it a value")
    if len(key) > LONGEST:
        raise Invalid(f"the Idempotency-Key header is longer than {LONGEST} characters")
    return key
