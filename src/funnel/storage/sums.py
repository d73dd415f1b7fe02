"""Checksums of what is moved."""

from typing import Protocol


class Sum(Protocol):
    """What `hashlib.new` makes, whose type has no public name."""

    def update(self, data: bytes | memoryview, /) -> None: ...

    def hexdigest(self) -> str: ...
