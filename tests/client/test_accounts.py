"""The clients at a server that asks who they are."""

from collections.abc import Callable
from pathlib import Path

import pytest
from running import Server

from funnel import Client, Denied, GrpcClient, NotFound, Unauthenticated, task

ANN, BOB = "swordfish", "pike"
HELLO = task("echo hello")
CONFIG = f"""
Compute: noop
Server:
  TaskAccess: OwnerOrAdmin
  BasicAuth:
    - {{User: ann, Password: {ANN}, Admin: true}}
    - {{User: bob, Password: {BOB}}}
"""


@pytest.fixture
def server(make_server: Callable[..., Server], tmp_path: Path) -> Server:
    config = tmp_path / "funnel.yaml"
    config.write_text(CONFIG)
    config.chmod(0o600)
    return make_server("--config", str(config))


def test_users_see_their_own_over_both_doors(server: Server) -> None:
    rpc = f"127.0.0.1:{server.rpc_port}"
    with (
        Client(server.url, user="ann", password=ANN) as ann,
        Client(server.url, user="bob", password=BOB) as bob,
        GrpcClient(rpc, user="bob", password=BOB) as bob_rpc,
    ):
        hers, his = ann.create(HELLO), bob.create(HELLO)
        assert [one.id for one in bob.list()] == [one.id for one in bob_rpc.list()] == [his]
        assert {one.id for one in ann.list()} == {hers, his}
        for ask in (bob.get, bob_rpc.get):
            with pytest.raises(NotFound):
                ask(hers)
        bob_rpc.cancel(his)
        with pytest.raises(Denied) as denied:
            bob.delete(his)
        assert (denied.value.status, denied.value.code) == (403, "PERMISSION_DENIED")
        ann.delete(his)


def test_who_says_nothing_or_what_is_wrong_is_told_the_way_in(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Client(server.url) as nobody, pytest.raises(Unauthenticated, match="FUNNEL_SERVER_TOKEN"):
        nobody.create(HELLO)
    rpc = f"127.0.0.1:{server.rpc_port}"
    with GrpcClient(rpc, user="ann", password=BOB) as wrong:
        with pytest.raises(Unauthenticated) as caught:
            wrong.create(HELLO)
        assert caught.value.code == "UNAUTHENTICATED"
    monkeypatch.setenv("FUNNEL_SERVER_USER", "ann")
    monkeypatch.setenv("FUNNEL_SERVER_PASSWORD", ANN)
    with Client(server.url) as ann, GrpcClient(rpc) as ann_rpc:
        assert ann_rpc.get(ann.create(HELLO)).executors == HELLO.executors
