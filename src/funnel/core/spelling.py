"""What was probably meant by a name that is none."""

from collections.abc import Iterable
from importlib import import_module


def nearest(word: str, known: Iterable[str]) -> str:
    """
    The one that is most like it; empty where none is.

    >>> nearest("cup_cores", ["cpu_cores", "ram_gb"]), nearest("disk", ["cpu_cores"])
    ('cpu_cores', '')
    """
    # Every command would wait for it, and only mistakes need it.
    found: list[str] = import_module("difflib").get_close_matches(word, known, n=1)
    return found[0] if found else ""
