"""A small disk of its own, which tests may fill."""

import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

MIB = 1024 * 1024


@contextmanager
def small_disk(at: Path, mib: int) -> Generator[Path]:
    """A file system of that size, in memory. Needs root."""
    at.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "funnel-test", at], check=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", "--lazy", at], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all the room there is."""
    ballast = disk / "ballast"
    with ballast.open("ab", buffering=0) as file:
        for size in (MIB, 4096):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
    return ballast


def free(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize
