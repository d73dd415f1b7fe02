"""An OpenSSH for tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from stores import Server, running

USER: Final = "funnel-sftp"


@pytest.fixture(scope="session")
def sftp_server() -> Iterator[Server]:
    """In a folder that its user can see."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        home.chmod(0o755)
        with running("sftp", home) as found:
            yield found
