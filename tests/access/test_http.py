"""Every route, every caller, every task: what the table says, and nothing else."""

from pathlib import Path

import pytest
from asked import asking

from funnel.core.access import ForeignTask, TaskAccess

HERE = Path(__file__).parent


@pytest.mark.parametrize("foreign", ForeignTask)
@pytest.mark.parametrize("access", TaskAccess)
async def test_everybody_may_do_what_the_table_says(
    tmp_path: Path, access: TaskAccess, foreign: ForeignTask
) -> None:
    expected = HERE / f"http-{access}-{foreign}.txt"
    async with asking(tmp_path, access, foreign) as asked:
        table = await asked.table()
    assert table == expected.read_text()
