"""Passwords, keys and tokens: text that is not shown by accident."""

import hmac
from typing import Any, Final, Self

HIDDEN: Final = "***"


class Secret:
    """
    Shows `***` wherever it is printed, formatted or pickled; `reveal` is the one way to its text.

    Two are compared in a time that does not depend on where they differ. There is no JSON of it,
    but for `config.show`, which hides it.

    >>> str(Secret("swordfish")), repr(Secret("swordfish")), f"{Secret('swordfish'):>5}"
    ('***', '***', '***')
    >>> Secret("swordfish").reveal()
    'swordfish'
    """

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """The text, for the one place that needs it."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(_bytes(self._text), _bytes(other._text))

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __repr__(self) -> str:
        return HIDDEN

    def __format__(self, spec: str) -> str:
        del spec
        return HIDDEN

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: object) -> Self:
        del memo
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return Secret, (HIDDEN,)


def secret_of(kind: type, given: Any) -> Any:
    """For msgspec, as `dec_hook`: a `Secret` from text. Raises `ValueError` for what is none."""
    if kind is Secret:
        if isinstance(given, str):
            return Secret(given)
        raise ValueError("a secret is text")
    raise NotImplementedError(f"no {kind.__name__} can be read")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
