"""Commands as they are called, and a server for them."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from board import Board
from calling import Call


@pytest.fixture
def board(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Board]:
    opened = Board(tmp_path_factory.mktemp("board"))
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Call:
    """Without any server; see `Call.at`."""
    monkeypatch.chdir(tmp_path)
    for end in ("", "_USER", "_PASSWORD", "_TOKEN", "_CA_FILE"):
        monkeypatch.delenv(f"FUNNEL_SERVER{end}", raising=False)
    return Call(monkeypatch, capsys)
