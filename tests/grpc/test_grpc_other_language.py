"""A client in another language, made of our .proto files and nothing else, at a real server."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import Server

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
PROTOS = ROOT / "src" / "funnel" / "wire" / "proto"


def seen_by_node(address: str) -> dict[str, Any]:
    packages = subprocess.run(
        [ROOT / "scripts" / "node.sh"], check=True, text=True, stdout=subprocess.PIPE
    )
    done = subprocess.run(
        ["node", HERE / "node" / "client.js", PROTOS, address],
        check=True,
        text=True,
        stdout=subprocess.PIPE,
        env=os.environ | {"NODE_PATH": packages.stdout.strip()},
        timeout=60,
    )
    seen: dict[str, Any] = json.loads(done.stdout)
    return seen


@pytest.mark.timeout(600)
def test_a_client_in_another_language_creates_gets_lists_and_cancels(
    make_server: Callable[..., Server],
) -> None:
    server = make_server("--Compute", "noop", "--Runtime", "nothing")
    seen = seen_by_node(f"127.0.0.1:{server.rpc_port}")
    made = seen["made"]["id"]
    assert seen["again"] == {"id": made}
    got = seen["got"]
    assert (got["id"], got["state"], got["name"]) == (made, "QUEUED", "from another language")
    assert got["executors"][0]["command"] == ["echo", "ü"]
    assert got["executors"][0]["env"] == {"A": "1"}
    assert got["inputs"][0]["content"] == "text"
    assert (got["resources"]["cpu_cores"], got["resources"]["ram_gb"]) == (1, 0.5)
    assert got["tags"] == {"language": "javascript"}
    (listed,) = seen["listed"]["tasks"]
    assert (listed["id"], listed["inputs"][0]["content"]) == (made, "")
    assert seen["canceled"] == {}
    assert (seen["after"]["id"], seen["after"]["state"]) == (made, "CANCELED")
    assert seen["info"]["type"]["artifact"] == "tes"
    assert seen["missing"] == {"code": "NOT_FOUND", "details": "no task none"}
    assert seen["wrong"]["code"] == "INVALID_ARGUMENT"
    assert "Task.Executors[0].Image: required, but empty" in seen["wrong"]["details"]
    assert server.state(made) == "CANCELED"
