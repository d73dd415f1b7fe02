"""Files of the server in a directory of tasks: its settings, and those of keys that they name."""

from contextlib import AsyncExitStack
from io import BytesIO
from pathlib import Path

import pytest

from funnel.app import Opening
from funnel.config import load
from funnel.core.error import Denied

SETTINGS = """
LocalStorage: {AllowedDirs: [.]}
Database: sqlite
Worker: {WorkDir: elsewhere/work}
Logger: {OutputFile: log}
GenericS3: [{Endpoint: "http://127.0.0.1:1", Key: k, SecretFile: secret}]
SFTPStorage:
  User: u
  KeyFile: key
  KnownHostsFile: hosts
  Hosts: [{Host: h, User: u, KeyFile: own}]
AzureStorage: {Accounts: [{Account: a, SASTokenFile: sas}]}
"""
FILES = ("settings.yaml", "link.yaml", "log", "secret", "key", "hosts", "own", "sas")


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        (tmp_path / name).write_text("canary")
    (tmp_path / "settings.yaml").write_text(SETTINGS)
    (tmp_path / "link.yaml").unlink()
    (tmp_path / "link.yaml").symlink_to("settings.yaml")


@pytest.mark.parametrize("settings", ["settings.yaml", "link.yaml"])
async def test_no_task_reads_or_writes_what_the_settings_are_in_or_name(
    settings: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        storage = await Opening(stack, load(Path(settings))).storage()
        await storage.put(BytesIO(b"x"), f"{tmp_path}/other")
        for name in FILES:
            with pytest.raises(Denied, match="belongs to the server"):
                await storage.get(f"{tmp_path}/{name}", tmp_path / "to")
            if name != "link.yaml" or settings == name:
                with pytest.raises(Denied, match="belongs to the server"):
                    await storage.put(BytesIO(b"x"), f"file://{tmp_path}/{name}")
        with pytest.raises(Denied, match="holds files of the server"):
            storage.in_place(str(tmp_path))
