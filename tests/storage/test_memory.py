"""What a transfer of over 1 GiB holds in memory is what it was given, and little more."""

import subprocess
import sys
from pathlib import Path

import enormous
import pytest

from funnel.storage.content import PART

MOST = {"get": enormous.MEMORY, "put": PART * 5}
"""Of an upload as many parts are reserved: three, beside the first and one that is read."""
MORE = 16 << 20
"""Bytes for all that is no content."""


@pytest.mark.timeout(240)
@pytest.mark.parametrize("way", ["get", "put"])
def test_memory_is_bounded_whatever_the_size(tmp_path: Path, way: str) -> None:
    path = tmp_path / "file"
    argv = [sys.executable, enormous.__file__, way, str(path)]
    said = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=200)
    assert path.stat().st_size == enormous.SIZE
    path.unlink()
    assert 0 <= int(said.stdout) < MOST[way] + MORE
