"""What a server does besides running one task: many tasks, other paths, stopping and starting."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Server, containers, until

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("server"), pytest.mark.timeout(180)]

QUOTES = {
    "backtick": ("bash", ["echo `uname -s`"], "Linux\n"),
    "double quotes": ("bash", ['echo "double quoted value"'], "double quoted value\n"),
    "mixed quotes": ("bash", ['echo "mix \'of\' \\"quotes\\""'], "mix 'of' \"quotes\"\n"),
    "several commands": (
        "bash",
        ["echo start && echo \"inner 'quotes'\" && echo end"],
        "start\ninner 'quotes'\nend\n",
    ),
    "apostrophe": ("alpine", ['echo "Hello O\'hare!"'], "Hello O'hare!\n"),
    "variable": ("bash", ['echo "HOME is $HOME"'], "HOME is /custom/home\n"),
    "single quotes": ("bash", ["echo 'Hello Nextflow!'"], "Hello Nextflow!\n"),
    "plain words": ("alpine", ["echo", "hello", "world"], "hello world\n"),
    "a space inside": ("alpine", ["echo", "Hello World!"], "Hello World!\n"),
    "an apostrophe inside": ("alpine", ["echo", "Hello O'hare!"], "Hello O'hare!\n"),
    "quotes inside": ("alpine", ["echo", '"double quoted value"'], '"double quoted value"\n'),
    "a backslash": ("alpine", ["echo", "back\\slash"], "back\\slash\n"),
    "an empty argument": ("alpine", ["echo", ""], "\n"),
    "an explicit shell": ("bash", ["sh", "-c", "echo inline shell"], "inline shell\n"),
    "lines and unicode": (
        "alpine",
        ["printf", "%s|", "a\nb", "ü €", "$HOME", "*"],
        "a\nb|ü €|$HOME|*|",
    ),
    "a header": ("alpine", ["echo", "-H", "Accept: a/b, c/d;q=0.5"], "-H Accept: a/b, c/d;q=0.5\n"),
}


@pytest.mark.parametrize("name", QUOTES)
def test_commands_arrive_as_they_were_written(server: Server, name: str) -> None:
    image, command, printed = QUOTES[name]
    executor = {"image": image, "command": command, "env": {"HOME": "/custom/home"}}
    task = server.wait(server.create_task({"executors": [executor]}))
    assert task["state"] == "COMPLETE", task["logs"][0]["system_logs"]
    assert task["logs"][0]["logs"][0]["stdout"] == printed


def test_many_tasks_come_in_pages(make_server: Callable[..., Server]) -> None:
    server = make_server("--Compute", "noop")
    assert server.http.get("/v1/tasks").json() == {"tasks": []}
    made = [server.create(["true"]) for _ in range(2050)]
    sizes = {"": 256, "1": 1, "500": 500, "5000": 2048, "0": 256}
    for asked, size in sizes.items():
        query = {"page_size": asked} if asked else {}
        assert len(server.http.get("/v1/tasks", params=query).json()["tasks"]) == size
    seen: list[str] = []
    token = ""
    while True:
        query = {"page_size": "500", "page_token": token}
        page = server.http.get("/v1/tasks", params=query).json()
        seen += [task["id"] for task in page["tasks"]]
        token = page.get("next_page_token", "")
        if not token:
            break
    assert seen == made[::-1]


@pytest.mark.parametrize("prefix", ["/ga4gh/tes/v1", "/v1", "", "//v1", "/ga4gh/tes/v1/"])
def test_every_path_that_clients_use(server: Server, prefix: str) -> None:
    made = server.http.post(f"{server.url}{prefix}/tasks", json={"executors": []})
    assert made.status_code == 400
    assert "at least one executor is required" in made.json()["error"]
    assert server.http.get(f"{server.url}{prefix}/service-info").json()["type"]["artifact"] == "tes"
    legacy = server.http.get(f"{server.url}{prefix}/tasks/service-info").json()
    assert sorted(legacy) == ["doc", "name", "storage"]


def test_a_stopped_server_leaves_containers_to_the_next(make_server: Callable[..., Server]) -> None:
    server = make_server()
    running = server.create(["sh", "-c", "sleep 3; echo done"])
    until(lambda: [one["State"] for one in containers(running)] == ["running"])
    assert server.stop() in (0, -signal.SIGTERM)
    (left,) = containers(running)
    assert left["State"] == "running"
    server.start()
    task = server.wait(running)
    assert task["state"] == "COMPLETE", task
    assert task["logs"][0]["logs"][0]["stdout"] == "done\n"


def test_a_stop_in_the_moment_of_a_start_tears_nothing_apart(
    make_server: Callable[..., Server],
) -> None:
    server = make_server()
    (server.files / "in").write_text("fed\n")
    given = [{"path": "/in", "url": f"file://{server.files}/in"}]
    reads = {"image": "alpine", "command": ["sh", "-c", "cat; sleep 1"], "stdin": "/in"}
    made: list[str] = []
    for _ in range(3):
        made.append(server.create_task({"executors": [reads, reads], "inputs": given}))
        until(lambda: containers(made[-1]))
        server.stop()
        server.start()
    for task_id in made:
        task = server.wait(task_id)
        assert task["state"] == "COMPLETE", task["logs"][0]["system_logs"]
        assert [one["stdout"] for one in task["logs"][0]["logs"]] == ["fed\n", "fed\n"]


@pytest.mark.parametrize(
    ("database", "work", "words"),
    [
        ("funnel.db", "other", "database .* is in use by another server"),
        ("other.db", "work", r"Worker.WorkDir .* is in use by another server"),
    ],
)
def test_a_second_server_on_one_database_or_work_directory_is_refused(
    make_server: Callable[..., Server], database: str, work: str, words: str
) -> None:
    first = make_server()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "funnel", "server", "run"),
            *("--SQLite.Path", str(first.home / database)),
            *(
                "--Server.HTTPPort",
                "0",
                "--Server.RPCPort",
                "0",
                "--Worker.WorkDir",
                str(first.home / work),
            ),
        ],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert re.search(words, done.stderr)
    assert "Traceback" not in done.stderr


def test_the_strict_profile_confines(make_server: Callable[..., Server]) -> None:
    server = make_server("--Docker.Profile", "strict")
    script = (
        "id -u; grep -E 'CapEff|NoNewPrivs' /proc/self/status; touch /x || echo read-only;"
        " ls /sys/class/net; echo y > /tmp/y && cat /tmp/y"
    )
    task = server.run(["sh", "-c", script])
    printed = task["logs"][0]["logs"][0]["stdout"]
    assert "65534\n" in printed
    assert "CapEff:\t0000000000000000" in printed
    assert "NoNewPrivs:\t1" in printed
    assert "read-only\nlo\ny\n" in printed


def test_metrics_and_health_tell_the_truth(server: Server) -> None:
    server.run(["true"])
    page = server.http.get("/metrics").text
    counts = {
        line.split()[0]: float(line.split()[1])
        for line in page.splitlines()
        if line.startswith("funnel_")
    }
    listed = len(
        server.http.get("/v1/tasks", params={"state": "COMPLETE", "page_size": "2000"}).json()[
            "tasks"
        ]
    )
    assert counts['funnel_tasks_state_count{state="COMPLETE"}'] == listed
    assert counts['funnel_attempts_total{state="COMPLETE"}'] >= 1
    assert server.http.get("/health.html").text == "OK\n"


def test_every_example_that_needs_no_network_runs(server: Server) -> None:
    names = server.cli("examples").stdout.split()
    assert "hello-world" in names
    remote = {"s3", "google-storage", "multiple-buckets", "nextflow"}
    for name in sorted(set(names) - remote):
        shown = server.cli("examples", name)
        assert shown.returncode == 0, shown.stderr
        task = json.loads(shown.stdout)
        missing = [one for one in task.get("inputs", ()) if one.get("url", "").startswith("file")]
        for one in missing:
            source = Path(one["url"].removeprefix("file://"))
            source.parent.mkdir(parents=True, exist_ok=True)
            source.write_text("words\n")
        done = server.wait(server.create_task(task))
        wanted = "EXECUTOR_ERROR" if name == "error" else "COMPLETE"
        assert done["state"] == wanted, (name, done["logs"][0]["system_logs"])


def test_the_command_line_goes_all_the_way(server: Server) -> None:
    one = server.cli("run", "echo 'it is' \"fine\"; exit 4", "--wait")
    assert one.returncode == 4
    task_id = one.stdout.split()[0]
    assert server.cli("task", "wait", task_id).returncode == 1
    assert server.cli("task", "logs", task_id).stdout == "it is fine\n"
    assert json.loads(server.cli("task", "get", task_id).stdout)["state"] == "EXECUTOR_ERROR"
    assert server.cli("tasks", "cancel", task_id).stdout.strip() == "{}"
    piped = server.cli(
        "task", "create", stdin='{"executors": [{"image": "alpine", "command": ["true"]}]}' * 2
    )
    assert len(piped.stdout.split()) == 2
    assert server.cli("task", "wait", *piped.stdout.split()).returncode == 0
    unknown = server.cli("task", "get", "nosuchtask")
    assert unknown.returncode == 1
    assert len(unknown.stderr.splitlines()) == 1


def test_a_worker_needs_no_server(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "task.json"
    task = {"executors": [{"image": "alpine", "command": ["sh", "-c", "echo alone; exit 7"]}]}
    file.write_text(json.dumps(task))
    done = server.cli("worker", "run", "-f", str(file), "--output", "json")
    assert done.returncode == 7
    shown = json.loads(done.stdout)
    assert shown["state"] == "EXECUTOR_ERROR"
    assert shown["logs"][0]["logs"][0]["stdout"] == "alone\n"
