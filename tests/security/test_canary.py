"""No secret of a server is found where others may look: each is a canary that is searched for."""

import base64
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from canary import Lookout, Witness, canary
from certificates import Authority
from running import Server, containers, until

from funnel.auth.passwords import hashed
from funnel.wire.gen import tes_pb2 as pb
from funnel.wire.gen.tes_pb2_grpc import TaskServiceStub

pytestmark = [pytest.mark.engine, pytest.mark.timeout(240)]

SINKS = ("kafka", "nats", "redis", "amqp", "webhook")
NOWHERE = "127.0.0.1:9"
"""Where nobody listens."""


ENCODED: Mapping[str, Callable[[bytes], bytes]] = {
    "as it is": bytes,
    "JSON": lambda one: b'{"x":"%s"}' % one,
    "Basic": lambda one: base64.b64encode(b"ann:" + one),
    "Basic, of a longer name": lambda one: base64.b64encode(b"robert:" + one + b"tail"),
    "base64url": lambda one: base64.urlsafe_b64encode(b"x:" + one + b"y"),
    "hex": lambda one: one.hex().encode(),
    "percent": lambda one: b"".join(b"%%%02X" % byte for byte in one),
}


@pytest.mark.parametrize("encoding", ENCODED)
def test_the_lookout_finds_what_it_looks_for(encoding: str) -> None:
    encode, lookout = ENCODED[encoding], Lookout()
    secret = lookout.new("secret").encode()
    for _ in range(20):
        lookout.new("other")
    assert lookout.seen(b"before " + encode(secret) + b" after") == {"secret"}
    assert lookout.seen(b"before " + encode(canary().encode()) + b" after") == set()


class Scene(Witness):
    """A server with all secrets there are, and what was seen of it."""

    def __init__(self, server: Server, lookout: Lookout, authority: Authority) -> None:
        super().__init__(lookout)
        self.server = server
        self.authority = authority
        self.passwords = {name: lookout.new(f"password of {name}") for name in USERS}

    def settings(self) -> Path:
        home, issued = self.server.home, self.authority.issue()
        certificate, key = issued.written(home / "tls")
        self.lookout.watch("TLS key", issued.key.splitlines()[2])
        tls = {"CertFile": str(certificate), "KeyFile": str(key)}
        provider = {
            "ServiceConfigURL": f"http://{NOWHERE}/.well-known/openid-configuration",
            "ClientId": "funnel",
            "ClientSecret": self.lookout.new("OIDC client"),
            "RedirectURL": f"{self.server.url}/login",
        }
        server = {
            "TLS": tls,
            "TaskAccess": "OwnerOrAdmin",
            "BasicAuth": self._users(),
            "OidcAuth": provider,
        }
        path = home / "funnel.yaml"
        given: dict[str, Any] = {"EventWriters": ["log", *SINKS], "Server": server, **self._sinks()}
        given |= {"SQLite": {"Path": str(self.server.database)}, "Logger": {"Level": "debug"}}
        path.write_text(json.dumps(given))
        return path

    def _sinks(self) -> dict[str, Any]:
        """None of them answers, so that what they say when something is wrong is said."""
        new = self.lookout.new
        login = {name: {"User": "funnel", "Password": new(name)} for name in SINKS}
        return {
            "Kafka": {"Servers": [NOWHERE], **login["kafka"]},
            "NATS": {"Servers": [f"nats://{NOWHERE}"], **login["nats"]},
            "Redis": {"URL": f"redis://{NOWHERE}/0", **login["redis"]},
            "AMQP": {"URL": f"amqp://{NOWHERE}/", **login["amqp"]},
            "Webhook": {
                "URL": f"https://{NOWHERE}/",
                "Secret": new("webhook"),
                "AllowedNetworks": ["127.0.0.0/8"],
            },
        }

    def _users(self) -> list[dict[str, Any]]:
        """One of them has a hash, which is a secret as well."""
        known = {**self.passwords, "ann": hashed(self.passwords["ann"])}
        self.lookout.watch("hash of ann", known["ann"].rpartition("$")[2])
        return [{"User": name, "Password": known[name], "Admin": name == "root"} for name in USERS]

    def ask(self, method: str, path: str, user: str = "", **given: Any) -> httpx.Response:
        auth = (user, self.passwords[user]) if user else None
        answer = self.server.http.request(method, path, auth=auth, **given)
        self.saw("answers", str(answer.headers.multi_items()), answer.content)
        return answer

    def run(self, user: str, command: list[str], **given: Any) -> str:
        task = {"executors": [{"image": "alpine", "command": command}], **given}
        made = self.ask("POST", "/v1/tasks", user, json=task)
        assert made.status_code == 200, made.text
        return str(made.json()["id"])

    def ended(self, task_id: str) -> str:
        def state() -> str:
            found = str(self.ask("GET", f"/v1/tasks/{task_id}", "root").json()["state"])
            return found if found in {"COMPLETE", "EXECUTOR_ERROR", "CANCELED"} else ""

        return str(until(state))


USERS = ("ann", "bob", "root")


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    authority = Authority()
    made = Scene(Server(tmp_path / "server"), Lookout(), authority)
    server = made.server
    server.flags = ("--config", str(made.settings()))
    server.url = server.url.replace("http:", "https:")
    server.http.close()
    server.http = httpx.Client(base_url=server.url, verify=authority.trusted(), timeout=30)
    server.start()
    yield made
    if server.process.poll() is None:
        server.stop()
    server.http.close()


def test_no_secret_is_found_in_what_a_server_says_keeps_or_starts(scene: Scene) -> None:
    server, lookout = scene.server, scene.lookout
    keys = (server.home / "funnel.db.keys").read_text().strip()
    lookout.watch("key of tokens", keys)
    lookout.watch("key of tokens", base64.urlsafe_b64decode(keys))
    follow = threading.Thread(target=hear, args=(scene,), daemon=True)
    follow.start()

    done = scene.run("ann", ["echo", "done"])
    failed = scene.run("bob", ["sh", "-c", "env; echo failed >&2; exit 3"])
    lasting = scene.run("ann", ["sleep", "100"])
    assert scene.ended(done) == "COMPLETE"
    assert scene.ended(failed) == "EXECUTOR_ERROR"
    (running,) = until(lambda: [one for one in containers(lasting) if one["State"] == "running"])
    scene.saw("containers", docker("inspect", str(running["ID"])))
    scene.saw("processes", *processes())

    be_refused(scene, done)
    assert use_grpc(scene) == ["OK", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNAUTHENTICATED"]
    assert scene.ask("POST", f"/v1/tasks/{lasting}:cancel", "root").status_code == 200
    assert scene.ask("DELETE", f"/v1/tasks/{failed}", "root").status_code == 200
    scene.ask("GET", "/login")
    for path in ("/metrics", "/service-info", "/openapi.json", "/healthz", "/v1/tasks?view=FULL"):
        assert scene.ask("GET", path, "root").status_code == 200
    scene.saw("settings shown", server.cli("config", "show", *server.flags).stdout)
    scene.saw("settings checked", server.cli("config", "check", *server.flags).stderr)
    scene.saw("database", *(one.read_bytes() for one in server.home.glob("funnel.db*[!s]")))
    server.stop()
    follow.join(10)
    scene.saw("log", server.log.read_bytes())
    scene.saw("database", *(one.read_bytes() for one in server.home.glob("funnel.db*[!s]")))
    scene.saw(
        "work", *(one.read_bytes() for one in server.home.rglob("work/**/*") if one.is_file())
    )

    assert scene.hits() == []
    what_must_be_there(scene)


def what_must_be_there(scene: Scene) -> None:
    """Else nothing was looked at."""
    log = b"".join(scene.evidence["log"])
    for said in (
        b"login refused user=ann",
        b"funnel.audit",
        *(f"{name}".encode() for name in SINKS),
        b"deleted a task user=root",
    ):
        assert said in log
    assert b"failed" in b"".join(scene.evidence["database"])
    assert b"funnel.task" in b"".join(scene.evidence["containers"])
    assert b"sleep" in b"".join(scene.evidence["processes"])
    assert b'"state"' in b"".join(scene.evidence["streams"])
    assert b"***" in b"".join(scene.evidence["settings shown"])


def hear(scene: Scene) -> None:
    """All that is told of tasks, until the server ends."""
    auth = ("root", scene.passwords["root"])
    try:
        with scene.server.http.stream("GET", "/events?after=0", auth=auth, timeout=None) as answer:
            for piece in answer.iter_bytes():
                scene.saw("streams", piece)
    except httpx.TransportError:
        return


def be_refused(scene: Scene, task_id: str) -> None:
    """What is tried and wrong is a secret as well: it may be the password of something else."""
    lookout = scene.lookout
    tried = lookout.new("a password that was tried")
    token = lookout.new("a token that was tried")
    said = scene.server.cli("worker", "token", task_id, *scene.server.flags)
    assert said.returncode == 0, said.stderr
    worker = said.stdout.strip()
    lookout.watch("token of a worker", worker.rpartition(".")[2])
    for _ in range(12):
        scene.ask("GET", "/v1/tasks", headers=basic("ann", tried))
        scene.ask("GET", "/v1/tasks", headers=bearer(token))
    for path in ("/v1/tasks", f"/v1/tasks/{task_id}", "/nowhere", "/metrics"):
        assert scene.ask("GET", path, headers=bearer(worker)).status_code in {403, 404}
    for task in ('{"executors": "x"}', '{"executors": []}', '{"name": 7}', "{"):
        assert scene.ask("POST", "/v1/tasks", "bob", content=task).status_code == 400
    assert scene.ask("DELETE", f"/v1/tasks/{task_id}", "bob").status_code == 403
    assert scene.ask("GET", f"/v1/tasks/{task_id}", "bob").status_code == 404
    assert scene.ask("PATCH", f"/v1/tasks/{task_id}", "bob").status_code == 405
    assert scene.ask("GET", "/v1/tasks", "bob", headers={"x": "x" * 70_000}).status_code == 431


def use_grpc(scene: Scene) -> list[str]:
    """How calls end of bob, of who says nothing, of a worker and of who is wrong."""
    worker = scene.server.cli("worker", "token", "t1", *scene.server.flags).stdout.strip()
    wrong = scene.lookout.new("a password that was tried")
    codes: list[str] = []
    secure = grpc.ssl_channel_credentials(scene.authority.certificate)
    with grpc.secure_channel(f"127.0.0.1:{scene.server.rpc_port}", secure) as channel:
        for said in (
            basic("bob", scene.passwords["bob"]),
            {},
            bearer(worker),
            basic("root", wrong),
        ):
            try:
                found = TaskServiceStub(channel).ListTasks(
                    pb.ListTasksRequest(), metadata=tuple(said.items()), timeout=20
                )
                codes.append("OK")
                scene.saw("answers", found.SerializeToString())
            except grpc.RpcError as error:
                codes.append(error.code().name)
                scene.saw("answers", str(error), str(error.trailing_metadata()))
    return codes


def basic(user: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout


def processes() -> Iterator[bytes]:
    """Words and environment of every process that there is, but for this one."""
    for process in Path("/proc").glob("[0-9]*"):
        if process.name != str(os.getpid()):
            for what in ("cmdline", "environ"):
                try:
                    yield (process / what).read_bytes()
                except OSError:
                    continue


@pytest.mark.parametrize(
    "broken",
    [
        {"Server": {"BasicAuth": [{"User": "ann", "Password": ["SECRET"]}]}},
        {"Server": {"BasicAuth": [{"User": "ann", "Password": {"SECRET": 1}}]}},
        {"Server": {"BasicAuth": [{"User": "ann", "Pasword": "SECRET"}]}},
        {"Server": {"BasicAuth": "SECRET"}},
        {"Server": {"BasicAuth": [{"User": "ann", "Password": "$2b$SECRET"}]}},
        {"Server": {"OidcAuth": {"ClientSecret": ["SECRET"]}}},
        {"Kafka": {"Password": {"SECRET": "x"}}},
        {"Redis": {"URL": "redis://:SECRET@redis.example:6379/0"}},
        {"AMQP": {"URL": "amqps://funnel:SECRET@rabbit.example/"}},
        {"NATS": {"Servers": ["nats://nats.example:4222", "nats://ann:SECRET@nats.example"]}},
        {"Server": {"HTTPPort": "x", "BasicAuth": [{"User": "ann", "Password": "SECRET"}]}},
    ],
)
def test_a_mistake_in_the_settings_does_not_tell_secrets(
    tmp_path: Path, broken: dict[str, Any]
) -> None:
    lookout = Lookout()
    text = json.dumps(broken).replace("SECRET", lookout.new("secret"))
    path = tmp_path / "funnel.yaml"
    path.write_text(text)
    server = Server(tmp_path / "server")
    for words in (("config", "check"), ("config", "show"), ("server", "run")):
        said = server.cli(*words, "--config", str(path))
        assert said.returncode == 1
        assert lookout.seen(said.stdout + said.stderr) == set()
        assert said.stderr
    server.http.close()
