"""What the sinks share."""

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, Final

from funnel.core.error import Unavailable
from funnel.core.message import Numbered, Type

PROJECT: Final = "funnel-tes"


def without_logs(told: Sequence[Numbered], *, system_logs: bool) -> Sequence[Numbered]:
    """What is to be told, with the system logs or without them."""
    if system_logs:
        return told
    return [one for one in told if one.message.type is not Type.SYSTEM_LOG]


def library(module: str, extra: str) -> Any:
    """A module that is installed with an extra only. Raises `Unavailable` where it is not."""
    try:
        return import_module(module)
    except ImportError as error:
        raise Unavailable(
            f"EventWriters has {extra}, which needs {error.name or module}, and that is not"
            f" installed: pip install '{PROJECT}[{extra}]'"
        ) from error


def checked(setting: str, value: object, what: str, is_right: Callable[[Any], bool] = bool) -> None:
    """Raise `Unavailable` for a setting that a sink cannot be without."""
    if not is_right(value):
        raise Unavailable(f"{setting} {what}")
