"""The program's own log: lines for people, or JSON for machines."""

import logging
import sys
from datetime import UTC, datetime
from typing import Final

from msgspec import json

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}

NOISY: Final = {
    "asyncio": logging.WARNING,
    "aiohttp": logging.WARNING,
    # While a broker is away it says so ten times a second; we say so, too, at each try.
    "aiokafka": logging.CRITICAL,
}


class JsonFormatter(logging.Formatter):
    """
    One JSON object a line: `time`, `level`, `ns` (the module), `msg`, and `error` if any.

    `task` is there where the process has one alone.
    """

    def __init__(self, task: str = "") -> None:
        super().__init__()
        self._task = {"task": task} if task else {}

    def format(self, record: logging.LogRecord) -> str:
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "ns": record.name,
            "msg": record.getMessage(),
            **self._task,
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        return json.encode(entry).decode()


class TextFormatter(logging.Formatter):
    """Continuation lines are indented, so that no message can pass for another's first line."""

    def __init__(self, task: str = "") -> None:
        about = f"{task}: " if task else ""
        super().__init__(f"%(asctime)s %(levelname)-7s %(name)s: {about}%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        return super().format(record).replace("\n", "\n    ")


def set_up(*, level: str, formatter: str, output_file: str = "", task: str = "") -> None:
    """Send the log to standard error, or to the end of a file; each line names the task, if any."""
    if output_file:
        to: logging.Handler = logging.FileHandler(output_file, encoding="utf-8")
    else:
        to = logging.StreamHandler(sys.stderr)
    to.setFormatter(JsonFormatter(task) if formatter == "json" else TextFormatter(task))
    logging.basicConfig(level=LEVELS.get(level.lower(), logging.INFO), handlers=[to], force=True)
    # What is written there is wanted however little else is.
    logging.getLogger("funnel.audit").setLevel(logging.INFO)
    for noisy, at_least in NOISY.items():
        logging.getLogger(noisy).setLevel(at_least)
