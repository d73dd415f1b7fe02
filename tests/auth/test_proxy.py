"""A header says who is asking where a trusted proxy sends it, and nothing from anybody else."""

import pytest
from doors import client, door

from funnel.auth.proxy import Proxy, make
from funnel.auth.settings import ProxyAuth
from funnel.core.access import Caller
from funnel.core.error import Unauthenticated
from funnel.database import sqlite
from funnel.net.clock import now
from funnel.plugins import Host
from funnel.ports import Credentials
from funnel.service.callers import Callers

NETWORKS = ("10.1.0.0/16", "192.0.2.7", "2001:db8::/32")
PROXY = Proxy(ProxyAuth(trusted_proxies=NETWORKS, admins=("boss",)))


def _said(peer: str, name: str = "ann") -> Credentials:
    return Credentials(headers={"x-forwarded-user": name}, peer=peer)


@pytest.mark.parametrize(
    "peer", ["10.1.2.3", "192.0.2.7", "2001:db8::1", "::ffff:10.1.2.3", "2001:db8::1%eth0"]
)
async def test_a_trusted_proxy_says_who_is_asking(peer: str) -> None:
    assert await PROXY.identify(_said(peer)) == Caller(name="ann")


@pytest.mark.parametrize(
    "peer", ["10.2.2.3", "192.0.2.70", "127.0.0.1", "::1", "::ffff:10.2.2.3", "", "unix", "10.1.2"]
)
async def test_what_anybody_else_says_in_the_header_is_not_heard(peer: str) -> None:
    assert await PROXY.identify(_said(peer)) is None


async def test_a_proxy_that_says_nothing_leaves_it_to_others() -> None:
    assert await PROXY.identify(Credentials(peer="10.1.2.3")) is None
    others = {"x-forwarded-for": "10.1.2.3", "x_forwarded_user": "ann"}
    assert await PROXY.identify(Credentials(headers=others, peer="10.1.2.3")) is None


@pytest.mark.parametrize("name", ["", "ann, bob", "ann,bob", "a" * 256, "ann\nbob", "ann\0"])
async def test_what_is_not_one_name_is_refused(name: str) -> None:
    with pytest.raises(Unauthenticated):
        await PROXY.identify(_said("10.1.2.3", name))


@pytest.mark.parametrize("name", ["Ærø", "李雷", "Łukasz", "a%41", "UTF-8''ann"])
async def test_a_name_is_utf_8_as_it_is(name: str) -> None:
    said = name.encode().decode("latin-1")
    assert await PROXY.identify(_said("10.1.2.3", said)) == Caller(name=name)


@pytest.mark.parametrize("name", [b"\xc6r\xf8", b"ann\xff", b"\xc0\xaf", b"\xed\xa0\x80"])
async def test_a_name_in_other_bytes_is_refused(name: bytes) -> None:
    with pytest.raises(Unauthenticated, match="x-forwarded-user is not UTF-8"):
        await PROXY.identify(_said("10.1.2.3", name.decode("latin-1")))


async def test_controls_are_no_names_however_they_are_written() -> None:
    with pytest.raises(Unauthenticated):
        await PROXY.identify(_said("10.1.2.3", "ann\x85bob".encode().decode("latin-1")))


async def test_administrators_are_known_by_name() -> None:
    assert await PROXY.identify(_said("10.1.2.3", "boss")) == Caller(
        name="boss", administrator=True
    )
    assert await PROXY.identify(_said("10.1.2.3", "Boss")) == Caller(name="Boss")


async def test_the_server_takes_the_address_of_the_connection_and_no_header_for_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    host = Host(now=now, deployment="test")
    path = tmp_path_factory.mktemp("proxy") / "funnel.db"
    async with sqlite.make(sqlite.Settings(path=str(path)), host) as database:
        for trusted, status in (("127.0.0.1", 200), ("10.1.0.0/16", 401)):
            async with make(ProxyAuth(trusted_proxies=(trusted,)), host) as proxy:
                assert proxy
                async with client(door(database, callers=Callers([proxy]))) as http:
                    said = {"X-Forwarded-User": "ann", "X-Forwarded-For": "10.1.2.3"}
                    answer = await http.get("/tasks", headers=said)
                    assert answer.status_code == status
                    twice = [("X-Forwarded-User", "ann"), ("X-Forwarded-User", "bob")]
                    assert (await http.get("/tasks", headers=twice)).status_code == 401
                    assert (await http.get("/tasks")).status_code == 401


async def test_without_a_trusted_proxy_there_is_no_identity() -> None:
    async with make(ProxyAuth(), Host(now=now, deployment="test")) as proxy:
        assert proxy is None
