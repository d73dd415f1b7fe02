from collections.abc import AsyncGenerator
from typing import Any

import pytest
from lures import FRONT, REACH, Counting, Leading

from funnel.core.error import Denied, Invalid
from funnel.net.client import Client
from funnel.net.guard import Guard
from funnel.net.web import Terms, Web, parsed

NOWHERE = [
    # This machine, in all spellings that a resolver takes for it.
    *(
        "127.0.0.1",
        "127.0.0.3",
        "127.255.255.254",
        "127.1",
        "127.0.1",
        "0",
        "0.0",
        "0x0.0.0",
        "0.1.2.3",
    ),
    *("2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "0x7f.0x0.0x0.0x1"),
    *("localhost", "LOCALHOST", "localhost.", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]"),
    *("[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[::1%25lo]", "[64:ff9b::7f00:1]"),
    *("[2002:7f00:1::]", "[2001:0:7f00:1::]", "127。0。0。1", "①②⑦.⓪.⓪.①", "127.0.0.1."),
    *("%31%32%37.0.0.1", "user@127.0.0.1", "example.org@127.0.0.1", "127.0.0.1%23@localhost"),
    # What gives away the credentials of the machine.
    *("169.254.169.254", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "169.254.43518"),
    *("0xa9.0xfe.0xa9.0xfe", "[::ffff:169.254.169.254]", "[::ffff:a9fe:a9fe]", "[fd00:ec2::254]"),
    *("[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::a9fe:a9fe]", "[2002:a9fe:a9fe::]", "[::a9fe:a9fe]"),
    *("169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16", "metadata"),
    *("metadata.google.internal", "METADATA.GOOGLE.INTERNAL.", "instance-data"),
    # Networks of whoever runs it, and what is no host at all.
    *(
        "10.0.0.1",
        "10.1",
        "167772161",
        "172.16.0.1",
        "172.31.255.254",
        "192.168.1.1",
        "192.168.257",
    ),
    *("100.64.0.1", "100.127.255.254", "198.18.0.1", "192.0.2.1", "198.51.100.1", "203.0.113.1"),
    *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "[fc00::1]", "[fd12::1]"),
    *("[fe80::1]", "[fe80::1%25eth0]", "[fec0::1]", "[ff02::1]", "[2001:db8::1]", "[100::1]"),
]
REFUSED = (Denied, Invalid, OSError)
"""The last one where a name has no address, or nobody is there."""


class Watched(Guard):
    """Counts the sockets that are made: each would have gone where it may."""

    made = 0

    def socket_for(self, address: Any) -> Any:
        found = super().socket_for(address)
        self.made += 1
        return found


@pytest.fixture
async def counting() -> AsyncGenerator[Counting]:
    async with Counting().listening() as one:
        yield one


@pytest.fixture
async def leading() -> AsyncGenerator[Leading]:
    async with Leading().listening() as one:
        yield one


@pytest.fixture
def guard() -> Watched:
    return Watched(REACH)


@pytest.fixture
async def web(guard: Guard) -> AsyncGenerator[Web]:
    async with Client(guard, connect=5, silence=5) as client:
        yield Web(client, REACH, lambda _: Terms())


async def text(web: Web, url: str) -> str:
    async with web.answered("GET", url, {}) as answer:
        return await answer.text()


def test_the_table_is_long_enough() -> None:
    assert len(set(NOWHERE)) >= 80


@pytest.mark.parametrize("host", NOWHERE)
async def test_no_spelling_leads_where_nobody_may_go(
    web: Web, guard: Watched, counting: Counting, leading: Leading, host: str
) -> None:
    url = f"http://{host}:{counting.port}/"
    with pytest.raises(REFUSED):
        await text(web, url)
    assert guard.made == 0
    leading.target = url
    with pytest.raises(REFUSED):
        await text(web, f"{leading.url}/on")
    assert (guard.made, len(leading.heard), counting.connections) == (1, 1, 0)


@pytest.mark.parametrize(
    "target",
    [
        *(
            "file:///etc/passwd",
            "FILE:///etc/passwd",
            "gopher://127.0.0.2:{port}/_x",
            "ftp://127.0.0.2/x",
        ),
        *(
            "dict://127.0.0.2:{port}/x",
            "data:text/plain,secret",
            "javascript:alert(1)",
            "unix:///x",
        ),
        *(
            "//127.0.0.1:{port}/",
            "///127.0.0.1:{port}/",
            "\\\\127.0.0.1:{port}\\",
            "http:///x",
            "http://",
        ),
        *("http://127.0.0.1:{port}", "http:127.0.0.1:{port}/", "https://127.0.0.1:{port}/"),
        *("http://[::1]:{port}/", "http://127.0.0.2\\@127.0.0.1:{port}/", "http://127.0.0.2:0/"),
        *(
            "http://127.0.0.2#@127.0.0.1:{port}/",
            "http://127.0.0.2:99999/",
            "http://[/",
            "http://[::1/",
        ),
    ],
)
@pytest.mark.parametrize("chain", ["on", "on/same/on", "on/on/on/on/on"])
async def test_no_chain_of_redirects_leads_there(
    web: Web, counting: Counting, leading: Leading, target: str, chain: str
) -> None:
    leading.target = target.format(port=counting.port)
    with pytest.raises(REFUSED):
        assert await text(web, f"{leading.url}/{chain}") == ""
    assert counting.connections == 0


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.2/x", "gopher://h/", "x", ""]
)
async def test_a_url_of_another_scheme_is_none(web: Web, target: str) -> None:
    with pytest.raises((Denied, Invalid)):
        await text(web, target)


async def test_where_one_may_go_redirects_lead(web: Web, leading: Leading) -> None:
    leading.target = "/"
    assert await text(web, leading.url) == "here"
    assert await text(web, f"{leading.url}/on/same/on/on/on") == "here"
    with pytest.raises(Invalid, match="more than 5"):
        await text(web, f"{leading.url}/on/on/on/on/on/on")


async def test_what_is_allowed_may_be_written_in_any_way(web: Web, leading: Leading) -> None:
    for host in (FRONT, "127.2", "2130706434", "[::ffff:127.0.0.2]"):
        assert await text(web, f"http://{host}:{leading.port}/") == "here"


async def test_credentials_do_not_go_along_to_another_origin(guard: Guard) -> None:
    async with Leading().listening() as one, Leading().listening() as other:
        shown = {one.port: Terms(headers={"Authorization": "Bearer geheim"})}
        one.target = f"{other.url}/"
        async with Client(guard) as client:
            web = Web(client, REACH, lambda url: shown.get(url.port or 0, Terms()))
            assert await text(web, f"{one.url}/same/on") == "here"
            assert await text(web, f"http://me:too@{FRONT}:{other.port}/") == "here"
            other.target = f"{other.url}/"
            assert await text(web, f"http://me:too@{FRONT}:{other.port}/on") == "here"
    assert [one.headers["Authorization"] for one in one.heard] == ["Bearer geheim"] * 2
    (onward, named, first, second) = other.heard
    assert named.headers["Authorization"] == "Basic bWU6dG9v"
    assert first.headers["Authorization"] == "Basic bWU6dG9v"
    for request in (onward, second):
        assert not {"Authorization", "Cookie", "Proxy-Authorization", "Referer"} & {
            *request.headers
        }


async def test_no_proxy_of_the_environment_is_used(
    web: Web, counting: Counting, leading: Leading, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{counting.port}")
    assert await text(web, leading.url) == "here"
    assert counting.connections == 0


def test_a_signed_url_is_sent_as_it_is_written() -> None:
    for url in (
        "http://h/a%2fb/%7Ec?x=%2F&sig=a+b%3d%3D",
        "https://h/a//b/../c",
        "http://h/a'(1)",
    ):
        assert str(parsed(url)) == url
    assert str(parsed("http://h/ä b#part")) == "http://h/%C3%A4%20b"
