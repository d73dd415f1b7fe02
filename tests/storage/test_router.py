"""What is refused before any store is asked, in words that repeat no password."""

import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from io import BytesIO
from pathlib import Path

import pytest
from webs import host

from funnel.core.error import Invalid
from funnel.storage.router import Router, opened


@pytest.fixture
async def router() -> AsyncIterator[Router]:
    async with opened(lambda plugin: plugin.settings(), host()) as made:
        yield made


WAYS: dict[str, Callable[[Router, str, Path], Awaitable[object]]] = {
    "stat": lambda router, url, _: router.stat(url),
    "list": lambda router, url, _: router.list_objects(url),
    "get": lambda router, url, folder: router.get(url, folder / "a"),
    "put": lambda router, url, _: router.put(BytesIO(b"x"), url),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "scheme", ["ftp", "ftps", "sftp", "http", "https", "s3", "gs", "az", "drs"]
)
@pytest.mark.parametrize(
    "login", ["ann:sword/fish@host", "ann:sword%fi[sh/@host", "ann:s@wordfish:x/y@h"]
)
async def test_a_login_that_is_none_is_not_repeated(
    router: Router, scheme: str, login: str, way: str, tmp_path: Path
) -> None:
    with pytest.raises(
        Invalid, match=rf"^{scheme}://ann@ho?s?t?/x has a password with a /"
    ) as found:
        await WAYS[way](router, f"{scheme}://{login}/x", tmp_path)
    assert "fish" not in "".join(traceback.format_exception(found.value))
