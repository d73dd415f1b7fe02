"""No secret of a store, in the settings or in a URL, is found where others may look."""

import base64
import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from canary import Lookout, Witness, canary
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from echoing import ftp, serving, web
from running import FINAL, Server, containers, until
from test_canary import docker, processes

from funnel.wire.gen import tes_pb2 as pb
from funnel.wire.gen.tes_pb2_grpc import TaskServiceStub

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]


class Scene(Witness):
    """A server with a secret for each store there is, and what was seen of it."""

    def __init__(self, home: Path, compute: str, stack: ExitStack) -> None:
        super().__init__(Lookout())
        self.server = Server(home)
        self.compute = compute
        self.ours, self.others = (stack.enter_context(serving(web())) for _ in range(2))
        self.ftp = stack.enter_context(serving(ftp()))
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self.config = home / "funnel.yaml"
        self.config.write_text(json.dumps(self._settings()))
        self.server.flags = ("--config", str(self.config), "--Compute", compute)

    def _settings(self) -> dict[str, Any]:
        new, ours = self.lookout.new, f"http://{self.ours}"
        host = {"Host": self.ours, "PlainText": True}
        key = canary()
        self.lookout.watch("key of Azure", base64.b64encode(key.encode()))
        return {
            "Logger": {"Level": "debug"},
            "Outbound": {"AllowedNetworks": ["127.0.0.0/8"]},
            "AmazonS3": {"AWSConfig": {"Endpoint": ours, "Key": "k", "Secret": new("Amazon")}},
            "GenericS3": [
                {
                    "Endpoint": f"http://{self.others}",
                    "Key": "k",
                    "Secret": new("S3"),
                    "Buckets": [{"Name": "own", "Key": "k", "Secret": new("bucket of S3")}],
                }
            ],
            "GoogleStorage": {"CredentialsFile": str(self._account()), "EndpointURL": ours},
            "AzureStorage": {
                "Account": "funnel",
                "Key": base64.b64encode(key.encode()).decode(),
                "Endpoint": ours,
            },
            "Swift": {"AuthURL": f"{ours}/auth/v3", "UserName": "u", "Password": new("Swift")},
            "HTTPStorage": {
                "Uploads": True,
                "Hosts": [{**host, "User": "u", "Password": new("HTTP"), "Uploads": True}],
            },
            "DRSStorage": {"Hosts": [{**host, "Token": new("DRS")}]},
            "FTPStorage": {
                "User": "u",
                "Password": new("FTP"),
                "Hosts": [{"Host": self.ftp, "User": "v", "Password": new("host of FTP")}],
            },
            "SFTPStorage": {
                "User": "u",
                "Password": new("SFTP"),
                "Hosts": [{"Host": self.ftp, "User": "v", "Password": new("host of SFTP")}],
            },
        }

    def _account(self) -> Path:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self.lookout.watch("key of Google", key.splitlines()[3])
        path = self.server.home / "google.json"
        told = {"type": "service_account", "project_id": "p", "private_key_id": "1"}
        told |= {"private_key": key.decode(), "client_email": "a@b"}
        told |= {"token_uri": f"http://{self.ours}/token"}
        path.write_text(json.dumps(told))
        return path

    def signed(self, name: str, what: str) -> str:
        """A URL with a password and two signatures."""
        new = self.lookout.new
        query = f"X-Amz-Signature={new(f'signature, {what}')}&sig={new(f'sig, {what}')}"
        return f"http://ann:{new(f'password, {what}')}@{self.others}/{name}?{query}"

    def run(self, command: str, inputs: list[str], outputs: list[str]) -> str:
        task_id = self.server.create(
            ["sh", "-c", command],
            inputs=[{"url": url, "path": f"/in/{at}"} for at, url in enumerate(inputs)],
            outputs=[{"url": url, "path": f"/in/{at}"} for at, url in enumerate(outputs)],
        )
        if self.compute == "external":
            self._come_for(task_id)
        return task_id

    def _come_for(self, task_id: str) -> None:
        home = self.server.home
        argv = [
            *(sys.executable, "-m", "funnel", "worker", "run", "--taskID", task_id),
            *("--config", str(self.config), "--Worker.LogUpdateRate", "100ms"),
            *("--RPCClient.ServerAddress", f"127.0.0.1:{self.server.rpc_port}"),
            *("--Worker.WorkDir", str(home / "away"), "--Worker.StopGrace", "1s"),
        ]
        with (home / "worker.log").open("ab") as log:
            made = subprocess.Popen(argv, cwd=home, stdout=log, stderr=log)
        self.workers[task_id] = made

    def ended(self, task_id: str) -> str:
        state = until(lambda: found if (found := self.server.state(task_id)) in FINAL else "")
        if task_id in self.workers:
            self.workers[task_id].wait(60)
        return str(state)

    def look(self, task_id: str) -> None:
        """All that clients see of it."""
        ask = self.server.http.get
        for view in ("MINIMAL", "BASIC", "FULL"):
            self.saw("answers", ask(f"/v1/tasks/{task_id}", params={"view": view}).content)
            self.saw("answers", ask("/v1/tasks", params={"view": view}).content)
        with grpc.insecure_channel(f"127.0.0.1:{self.server.rpc_port}") as channel:
            stub = TaskServiceStub(channel)
            found = stub.GetTask(pb.GetTaskRequest(id=task_id, view="FULL"), timeout=30)
            listed = stub.ListTasks(pb.ListTasksRequest(view="FULL"), timeout=30)
        self.saw("gRPC", found.SerializeToString(), listed.SerializeToString())

    def kept(self) -> Iterator[bytes]:
        """All rows of the database but those that are meant for secrets."""
        with closing(sqlite3.connect(self.server.database)) as base:
            lines = list(base.iterdump())
        assert any(one.startswith('INSERT INTO "secret"') for one in lines)
        yield from (one.encode() for one in lines if not one.startswith('INSERT INTO "secret"'))


@pytest.fixture(params=["local", "external"])
def scene(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Scene]:
    with ExitStack() as stack:
        made = Scene(tmp_path / "server", request.param, stack)
        made.server.start()
        yield made
        if made.server.process.poll() is None:
            made.server.stop()
        for one in made.workers.values():
            one.kill()
            one.wait()
        made.server.http.close()


def test_no_secret_of_a_store_is_found_where_others_look(scene: Scene) -> None:
    server = scene.server
    follow = threading.Thread(target=hear, args=(scene,), daemon=True)
    follow.start()
    for task in ("done", "failed", "denied", "not stored"):
        assert carried_out(scene, task) == OUTCOMES[task]
    lasting = scene.run("env; cat /proc/mounts; sleep 100", [scene.signed("in", "lasting")], [])
    (running,) = until(lambda: [one for one in containers(lasting) if one["State"] == "running"])
    scene.saw("containers", docker("inspect", str(running["ID"])))
    scene.saw("containers", docker("exec", str(running["ID"]), "sh", "-c", "cat /proc/*/environ"))
    scene.saw("processes", *processes())
    scene.saw("files", *files_below(server.home / "work"), *files_below(server.home / "away"))
    server.cancel(lasting)
    assert scene.ended(lasting) == "CANCELED"
    for scheme in ("ftp", "sftp", "https", "s3", "gs", "az"):
        scene.saw("answers", refused(scene, scheme))
    for path in ("/metrics", "/service-info", "/", "/healthz"):
        scene.saw("answers", server.http.get(path).content)
    scene.saw("settings", server.cli("config", "show", *server.flags).stdout)
    server.stop()
    follow.join(10)
    scene.saw("database", *scene.kept())
    scene.saw("log", *(one.read_bytes() for one in server.home.glob("*.log")))
    assert scene.hits() == []
    assert b"/denied" in b"".join(scene.evidence["answers"])
    assert b"sleep" in b"".join(scene.evidence["processes"])
    assert b"/in/0" in b"".join(scene.evidence["streams"])


def refused(scene: Scene, scheme: str) -> bytes:
    """What is said to a password that has a slash in it."""
    new = scene.lookout.new
    url = f"{scheme}://ann:{new('password')}/{new('rest of password')}@host/x"
    executors = [{"image": "alpine", "command": ["true"]}]
    task = {"executors": executors, "inputs": [{"url": url, "path": "/x"}]}
    answer = scene.server.http.post("/v1/tasks", json=task)
    assert answer.status_code == 400
    assert b"Inputs[0].Url: has a password with a /" in answer.content
    return answer.content


OUTCOMES = {
    "done": "COMPLETE",
    "failed": "EXECUTOR_ERROR",
    "denied": "SYSTEM_ERROR",
    "not stored": "SYSTEM_ERROR",
}


def carried_out(scene: Scene, what: str) -> str:
    """How it ended; each store denies an input of its own."""
    signed, new = scene.signed, scene.lookout.new
    if what == "done":
        ids = [scene.run("env", [signed("in", what)], [signed("out", f"out, {what}")])]
    elif what == "failed":
        ids = [scene.run("env >&2; exit 3", [signed("in", what)], [signed("out", f"out, {what}")])]
    elif what == "not stored":
        ids = [scene.run("env", [signed("in", what)], [signed("denied", f"out, {what}")])]
    else:
        urls = [
            signed("denied", what),
            f"ftp://ann:{new('password of FTP')}@{scene.ftp}/denied",
            f"http://{scene.ours}/denied",
            f"drs://{scene.ours}/denied",
            "s3://any/denied",
            f"s3://{scene.others}/own/denied",
            "gs://any/denied",
            "az://any/denied",
            "swift://any/denied",
            f"ftp://{scene.ftp}/denied",
            f"sftp://ann:{new('password of SFTP')}@{scene.ftp}/denied",
            f"sftp://{scene.ftp}/denied",
        ]
        # Each takes a worker of its own, and what they do there is the same.
        urls = urls if scene.compute == "local" else urls[::4]
        ids = [scene.run("true", [url], []) for url in urls]
    states = {scene.ended(one) for one in ids}
    for one in ids:
        scene.look(one)
    assert len(states) == 1, {one: server_log(scene, one) for one in ids}
    return states.pop()


def server_log(scene: Scene, task_id: str) -> str:
    return json.dumps(scene.server.get(task_id)["logs"])[-300:]


def files_below(folder: Path) -> Iterator[bytes]:
    for one in folder.rglob("*"):
        if one.is_file():
            yield str(one).encode() + one.read_bytes()


def hear(scene: Scene) -> None:
    """All that is told of tasks, until the server ends."""
    try:
        with scene.server.http.stream("GET", "/events?after=0", timeout=None) as answer:
            for piece in answer.iter_bytes():
                scene.saw("streams", piece)
    except httpx.TransportError:
        return
