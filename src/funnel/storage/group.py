"""Tasks at once that fail as one."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager


@asynccontextmanager
async def grouped() -> AsyncGenerator[asyncio.TaskGroup]:
    """Of its tasks and the body the first to fail stops the rest, and is raised as itself."""
    try:
        async with asyncio.TaskGroup() as group:
            yield group
    except ExceptionGroup as failures:
        raise failures.exceptions[0] from None
