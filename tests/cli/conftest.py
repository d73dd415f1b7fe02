"""Commands as they are called."""

from pathlib import Path

import pytest
from calling import Call


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Without any server; see `Call.at`."""
    monkeypatch.chdir(tmp_path)
    for end in ("", "_USER", "_PASSWORD", "_TOKEN", "_CA_FILE"):
        monkeypatch.delenv(f"FUNNEL_SERVER{end}", raising=False)
    return Call(monkeypatch, capsys)
