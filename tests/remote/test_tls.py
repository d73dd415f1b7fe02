"""A worker that is away, over mutual TLS: the server and the worker as they are started."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from certificates import Authority, Issued
from running import PATIENCE, Server, until

pytestmark = [pytest.mark.engine, pytest.mark.timeout(180)]


class Place:
    """A server with accounts, whose workers must show a certificate."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.authority, self.nodes = Authority(), Authority("nodes")
        certificate, key = self.authority.issue().written(home / "tls")
        self.trusted, known = home / "authority.pem", home / "nodes.pem"
        self.trusted.write_bytes(self.authority.certificate)
        known.write_bytes(self.nodes.certificate)
        tls = {"CertFile": str(certificate), "KeyFile": str(key), "ClientCAFile": str(known)}
        users = [{"User": "ann", "Password": "swordfish", "Admin": True}]
        settings = home / "funnel.yaml"
        settings.write_text(
            json.dumps({"Compute": "external", "Server": {"TLS": tls, "BasicAuth": users}})
        )
        self.server = Server(home / "server", ("--config", str(settings)))
        self.server.http.close()
        self.server.http = httpx.Client(
            base_url=self.server.url.replace("http:", "https:"),
            verify=self.authority.trusted(),
            auth=("ann", "swordfish"),
            timeout=30,
        )
        self.server.start()

    def token(self, task_id: str) -> str:
        where = ("--SQLite.Path", str(self.server.database))
        return self.server.cli("worker", "token", task_id, *where).stdout.strip()

    def work(
        self, task_id: str, token: str, shown: Issued | None, trusted: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        flags = ["--RPCClient.ServerAddress", f"https://localhost:{self.server.rpc_port}"]
        flags += ["--RPCClient.TLS.CAFile", str(trusted or self.trusted)]
        flags += ["--RPCClient.MaxRetries", "0"]
        if shown:
            certificate, key = shown.written(self.home / "node", "node")
            flags += ["--RPCClient.TLS.CertFile", str(certificate)]
            flags += ["--RPCClient.TLS.KeyFile", str(key)]
        flags += ["--Worker.WorkDir", str(self.home / "away")]
        return subprocess.run(
            [sys.executable, "-m", "funnel", "worker", "run", "--taskID", task_id, *flags],
            capture_output=True,
            check=False,
            text=True,
            timeout=PATIENCE,
            cwd=self.server.files,
            env={**os.environ, "FUNNEL_WORKER_TOKEN": token},
        )


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    made.server.stop()
    made.server.http.close()


def test_a_worker_works_where_both_show_who_they_are_and_nowhere_else(place: Place) -> None:
    server = place.server
    task_id, other = (server.create(["echo", "done"]) for _ in range(2))
    until(lambda: server.get(task_id).get("logs"))
    token, ours = place.token(task_id), place.nodes.issue(["n1"])
    stranger = place.home / "stranger.pem"
    stranger.write_bytes(Authority().certificate)
    for done in (
        place.work(task_id, token, None),
        place.work(task_id, token, Authority().issue(["n1"])),
        place.work(task_id, token, ours, stranger),
        place.work(task_id, place.token(other), ours),
        place.work(task_id, token[:-5], ours),
        place.work(task_id, "", ours),
    ):
        assert done.returncode != 0
        assert token not in done.stdout + done.stderr
        assert server.state(task_id) == "QUEUED"
    done = place.work(task_id, token, ours)
    assert done.returncode == 0, done.stderr
    assert server.state(task_id) == "COMPLETE"
    assert server.get(task_id)["logs"][0]["logs"][0]["stdout"] == "done\n"
