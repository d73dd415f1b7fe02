"""What all tests share."""

import pytest
from hypothesis import settings

# Machines are shared: how long an example takes says nothing about it.
settings.register_profile("funnel", deadline=None)
settings.load_profile("funnel")


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"
