"""On what machine a run was made."""

import os
import platform
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path


def describe() -> Mapping[str, str]:
    """To be asked before anything runs, for the load."""
    return {
        "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
        "commit": _said("git", "describe", "--always", "--dirty"),
        "processor": f"{_model()}, {len(os.sched_getaffinity(0))} cores for us",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "load at the start": " ".join(f"{one:.2f}" for one in os.getloadavg()),
        "kernel": platform.release(),
        "file system": _said("stat", "-f", "-c", "%T", tempfile.gettempdir()),
        "engine": _said("docker", "version", "--format", "{{.Server.Version}}"),
        "Python": platform.python_version(),
        "SQLite": sqlite3.sqlite_version,
        "libraries": ", ".join(f"{one} {version(one)}" for one in ("uvloop", "msgspec")),
    }


def _model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _said(*argv: str) -> str:
    try:
        told = subprocess.run(argv, check=True, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return told.stdout.strip()
