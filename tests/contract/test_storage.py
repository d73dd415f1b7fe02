"""Each storage against what every storage must do."""

import os
from pathlib import Path

import pytest

from funnel.storage.local import LocalStorage
from funnel.storage.memory import MemoryStorage
from funnel.testing.storage import StorageSuite


class TestLocal(StorageSuite):
    @pytest.fixture
    def storage(self, tmp_path: Path) -> LocalStorage:
        return LocalStorage([tmp_path / "store"])

    @pytest.fixture
    def base(self, tmp_path: Path) -> str:
        return f"file://{tmp_path}/store"


class TestLocalPaths(TestLocal):
    @pytest.fixture
    def base(self, tmp_path: Path) -> str:
        return f"{tmp_path}/store"


class TestMemory(StorageSuite):
    has_directories = False

    @pytest.fixture
    def storage(self) -> MemoryStorage:
        return MemoryStorage()

    @pytest.fixture
    def base(self) -> str:
        return "mem://store"


class TestLocalWithoutNamelessFiles(TestLocal):
    """As on a file system that has none."""

    @pytest.fixture(autouse=True)
    def nameless(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("funnel.safepath.whole.NAMELESS", os.O_TMPFILE)
