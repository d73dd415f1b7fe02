import asyncio
import hashlib
from pathlib import Path

from funnel.storage.landing import Landing
from funnel.storage.threads import spare_threads

LARGE = 32 << 20


async def test_what_is_left_to_hash_of_a_large_file_keeps_no_loop(tmp_path: Path) -> None:
    spare_threads()
    landing = Landing(tmp_path / "a", "s3://b/a")
    landing.algorithm = "sha256"
    await landing.write(b"x", LARGE - 1)
    finishing = asyncio.create_task(landing.finish(LARGE, 0, sum_of(LARGE)))
    turns = 0
    while not finishing.done():
        await asyncio.sleep(0)
        turns += 1
    await finishing
    assert turns > 2
    assert (tmp_path / "a").stat().st_size == LARGE


def sum_of(size: int) -> str:
    return hashlib.sha256(bytes(size - 1) + b"x").hexdigest()
