"""Pages as tasks, to compare."""

from funnel.core.query import Page, Query
from funnel.ports import Documents
from funnel.wire.document import read_page


async def page_of(database: Documents, query: Query) -> Page:
    return read_page(await database.list_tasks(query))
