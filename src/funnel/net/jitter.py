"""Chance, so that not all who wait come back at once."""

import secrets


def chance() -> float:
    """Anything from 0 to 1."""
    return secrets.randbelow(1000) / 1000


def jittered(seconds: float, luck: float) -> float:
    """No more than these seconds, and at least half of them; `luck` is from 0 to 1."""
    return seconds * (0.5 + luck / 2)
