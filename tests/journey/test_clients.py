"""Other people's clients, as they come from the package index, in environments of their own."""

import subprocess
import venv
from pathlib import Path

import pytest
from running import Server

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("tasks"), pytest.mark.timeout(300)]

PY_TES = """
import sys, tes
client = tes.HTTPClient(sys.argv[1], timeout=30)
print(client.get_service_info().name)
task = tes.Task(
    name="from py-tes",
    executors=[tes.Executor(image="alpine", command=["echo", "hello"])],
    inputs=[tes.Input(path="/in", content="x", type="FILE")],
    tags={"from": "py-tes"},
)
made = client.create_task(task)
done = client.wait(made, timeout=60)
assert done.state == "COMPLETE", done
for view in ("MINIMAL", "BASIC", "FULL"):
    got = client.get_task(made, view=view)
    assert (got.id, got.state) == (made, "COMPLETE")
assert got.logs[0].logs[0].stdout == "hello\\n"
assert got.logs[0].logs[0].exit_code == 0
for view in ("MINIMAL", "BASIC", "FULL"):
    page = client.list_tasks(view=view, page_size=1)
    assert len(page.tasks) == 1
sleeper = tes.Executor(image="alpine", command=["sleep", "99"])
slow = client.create_task(tes.Task(executors=[sleeper]))
client.cancel_task(slow)
client.cancel_task(slow)
assert client.get_task(slow, view="MINIMAL").state == "CANCELED"
print("all is well")
"""


@pytest.mark.parametrize("version", ["1.1.4", "0.4.2"])
def test_py_tes_does_all_it_can(server: Server, tmp_path: Path, version: str) -> None:
    home = tmp_path / "venv"
    venv.create(home, with_pip=True)
    python = str(home / "bin/python")
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", f"py-tes=={version}", "setuptools", "six"],
        check=True,
    )
    done = subprocess.run(
        [python, "-c", PY_TES, server.url], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "all is well"
