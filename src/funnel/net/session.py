"""A client of aiohttp, for libraries that need one; ours is `funnel.net.client`."""

from typing import Final

import aiohttp

BUFFER: Final = 1 << 20


def session(*, connect: float = 30.0, silence: float = 60.0) -> aiohttp.ClientSession:
    """
    Of many connections that are kept; seconds. Content comes as it was sent.

    The URLs must be those of the settings. No cookies, no proxy of the environment.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect, sock_read=silence),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=False,
        read_bufsize=BUFFER,
        headers={"Accept-Encoding": "identity"},
    )
