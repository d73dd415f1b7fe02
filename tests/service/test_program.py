import asyncio
from pathlib import Path

import pytest
from running import until

from funnel.program import printed


async def test_a_program_is_told_and_says() -> None:
    assert await printed(("sh", "-c", "cat; echo of us"), b"hello ") == b"hello of us\n"


async def test_one_that_fails_or_is_not_there_is_an_error() -> None:
    with pytest.raises(ChildProcessError):
        await printed(("sh", "-c", "echo secret; exit 3"))
    with pytest.raises(FileNotFoundError):
        await printed(())
    with pytest.raises(FileNotFoundError):
        await printed(("no-program-of-this-name",))


async def test_nothing_that_it_has_started_outlives_who_no_longer_waits(tmp_path: Path) -> None:
    """As `az` is a script that starts Python."""
    child = tmp_path / "child"
    script = f"sleep 600 & echo $! > {child}.new; mv {child}.new {child}; wait"
    running = asyncio.create_task(printed(("sh", "-c", script)))
    await asyncio.to_thread(until, child.exists)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    process = Path(f"/proc/{child.read_text().strip()}/cmdline")
    await asyncio.to_thread(until, lambda: _is_gone(process))


def _is_gone(process: Path) -> bool:
    """Of one that is dead and not yet collected nothing is left but its number."""
    return not process.exists() or not process.read_bytes()
