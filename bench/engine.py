"""What the container engine itself says, and what it takes without us."""

import json
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import httpx

from funnel.core.container import LABEL_DEPLOYMENT, LABEL_TASK
from funnel.runtime.address import candidates

IMAGE = "alpine"


def engine() -> httpx.Client:
    address = next(candidates("", os.environ, Path.home()))
    return httpx.Client(
        transport=httpx.HTTPTransport(uds=address.socket or None),
        base_url=address.base,
        timeout=60,
    )


def containers(client: httpx.Client, task_id: str, *, running: bool = False) -> Sequence[str]:
    """The ids of the containers of a task."""
    return _found(client, f"{LABEL_TASK}={task_id}", running=running)


def deployed(client: httpx.Client, deployment: str) -> Sequence[str]:
    """The ids of all containers of a server."""
    return _found(client, f"{LABEL_DEPLOYMENT}={deployment}")


def _found(client: httpx.Client, label: str, *, running: bool = False) -> Sequence[str]:
    filters = {"label": [label], **({"status": ["running"]} if running else {})}
    asked = {"all": "1", "filters": json.dumps(filters)}
    return [one["Id"] for one in client.get("/containers/json", params=asked).json()]


def docker_run(*command: str, flags: Sequence[str] = (), to: Path | None = None) -> None:
    """`docker run --rm`, its output to a file or to nowhere."""
    argv = ("docker", "run", "--rm", *flags, IMAGE, *command)
    with (to or Path(os.devnull)).open("wb") as out:
        subprocess.run(argv, check=True, stdout=out)


def docker_logs(*command: str, to: Path) -> None:
    """As `docker_run`, its output from the log that the engine keeps."""
    argv = ("docker", "run", "--detach", IMAGE, *command)
    told = subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True)
    name = told.stdout.strip()
    try:
        with to.open("wb") as out:
            subprocess.run(["docker", "logs", "--follow", name], check=True, stdout=out)
    finally:
        subprocess.run(["docker", "rm", "--force", name], check=True, stdout=subprocess.DEVNULL)


def docker_runs(count: int, parallel: int) -> None:
    """A shell loop of hello-worlds, so many at once."""
    loop = f"seq {count} | xargs -P {parallel} -I @ docker run --rm {IMAGE} true"
    subprocess.run(["sh", "-c", loop], check=True)
