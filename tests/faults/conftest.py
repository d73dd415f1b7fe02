"""Deployments to break, and how much of it: `FUNNEL_FAULTS=all` is `make faults`."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rig import Rig


@pytest.fixture
def make_rig(tmp_path: Path) -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(*flags: str, grace: float = 1.0, threads: int = 0) -> Rig:
        made.append(Rig(tmp_path / f"rig{len(made)}", *flags, grace=grace, threads=threads))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def everything() -> bool:
    """Whether each point shall be tried, and not only a part."""
    return os.environ.get("FUNNEL_FAULTS") == "all"
