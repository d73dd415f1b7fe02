"""
Every route and every call, every caller, every task: what the table says, and nothing else.

What a table is now is left in build/access, to be read and put in the place of the old one.
"""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from asked import table_of_http
from called import table_of_grpc
from everybody import Known, known

from funnel.core.access import ForeignTask, TaskAccess

HERE = Path(__file__).parent
NOW = HERE.parent.parent / "build" / "access"
TABLES: dict[str, Callable[[Known], Awaitable[str]]] = {
    "http": table_of_http,
    "grpc": table_of_grpc,
}


@pytest.mark.parametrize("foreign", ForeignTask)
@pytest.mark.parametrize("access", TaskAccess)
@pytest.mark.parametrize("door", TABLES)
async def test_everybody_may_do_what_the_table_says(
    tmp_path: Path, door: str, access: TaskAccess, foreign: ForeignTask
) -> None:
    name = f"{door}-{access}-{foreign}.txt"
    async with known(tmp_path, access, foreign) as inside:
        table = await TABLES[door](inside)
    NOW.mkdir(parents=True, exist_ok=True)
    (NOW / name).write_text(table)
    assert table == (HERE / name).read_text()
