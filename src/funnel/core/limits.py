"""How large a task may be."""

from typing import Final

from funnel.core.value import Value


class Limits(Value, kw_only=True):
    """Sizes are in bytes of UTF-8."""

    executors: int = 100
    words: int = 100_000
    """Of one command."""
    argument: int = 128 * 1024 - 1
    """A word of a command, or a variable with its name: Linux starts no program with more."""
    env: int = 1024
    """Variables of one executor."""
    files: int = 10_000
    """Inputs, outputs and volumes, of each."""
    content: int = 128 * 1024
    name: int = 4096
    description: int = 64 * 1024
    path: int = 4096
    part: int = 255
    """Of a path, as file systems have it."""
    url: int = 16 * 1024
    tags: int = 256
    """Of tags, zones and backend parameters, of each."""
    tag: int = 4096
    """A key or a value."""


LIMITS: Final = Limits()
