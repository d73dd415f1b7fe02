"""How much the HTTP door takes."""

from typing import Final

from funnel.core.value import Value


class Limits(Value, kw_only=True):
    """`body` in bytes. `no_store` tells browsers and proxies not to keep answers."""

    body: int = 4 * 1024 * 1024
    body_seconds: float = 30.0
    """For the body to arrive."""
    answer_seconds: float = 60.0
    """For the answer to be found, the body's arrival included."""
    no_store: bool = True


LIMITS: Final = Limits()
