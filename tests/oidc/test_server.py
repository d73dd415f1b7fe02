"""A whole server that knows a provider, at both of its doors."""

from collections.abc import Callable

import grpc
import httpx
import pytest
from providers import AUDIENCE, Provider
from running import Server

from funnel.wire.gen import tes_pb2 as pb
from funnel.wire.gen.tes_pb2_grpc import TaskServiceStub

pytestmark = pytest.mark.xdist_group("oidc")

CANARY = "a-secret-that-nobody-may-see"
STEP = {"image": "alpine", "command": ["true"]}


def test_one_token_opens_both_doors_to_the_tasks_of_its_user_only(
    provider: Provider, make_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FUNNEL__SERVER__OIDC_AUTH__CLIENT_SECRET", CANARY)
    monkeypatch.setenv("FUNNEL__SERVER__BASIC_AUTH", f'[{{"User": "ann", "Password": "{CANARY}"}}]')
    server = make_server(
        *("--Compute", "noop", "--Server.TaskAccess", "Owner", "--Logger.Level", "debug"),
        *("--Server.OidcAuth.ServiceConfigURL", provider.url),
        *("--Server.OidcAuth.ClientId", "funnel"),
        *("--Server.OidcAuth.RequireAudience", AUDIENCE),
    )
    alice, bob = (provider.token(provider.claims(sub=name)) for name in ("alice", "bob"))

    def asked(token: str, path: str) -> httpx.Response:
        return server.http.get(path, headers={"Authorization": f"Bearer {token}"})

    made = server.http.post(
        "/tasks", json={"executors": [STEP]}, headers={"Authorization": f"Bearer {alice}"}
    )
    task_id = made.json()["id"]
    assert asked(alice, f"/tasks/{task_id}").status_code == 200
    assert asked(bob, f"/tasks/{task_id}").status_code == 404
    assert server.http.get("/tasks").status_code == 401
    ann = server.http.get("/tasks", auth=httpx.BasicAuth("ann", CANARY))
    assert (ann.status_code, ann.json()) == (200, {"tasks": []})

    with grpc.insecure_channel(f"127.0.0.1:{server.rpc_port}") as channel:
        tes = TaskServiceStub(channel)
        wanted = pb.GetTaskRequest(id=task_id)
        assert tes.GetTask(wanted, metadata=(("authorization", f"Bearer {alice}"),)).id == task_id
        for said, code in (
            ((("authorization", f"Bearer {bob}"),), grpc.StatusCode.NOT_FOUND),
            ((("authorization", "Bearer x.y.z"),), grpc.StatusCode.UNAUTHENTICATED),
            ((), grpc.StatusCode.UNAUTHENTICATED),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                tes.GetTask(wanted, metadata=said)
            assert caught.value.code() is code

    log = server.log.read_text()
    assert "the password of user 'ann' is plain text" in log
    assert CANARY not in log
    assert alice not in log
