"""Tasks from the door to the container and back, as a client sees them."""

import signal
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from running import Server, containers, until

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("tasks"), pytest.mark.timeout(120)]


def log(task: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = task["logs"][0]
    return found


def test_hello_world(server: Server) -> None:
    task = server.run(["echo", "hello world"])
    assert task["state"] == "COMPLETE"
    assert log(task)["logs"][0]["stdout"] == "hello world\n"
    assert log(task)["logs"][0]["exit_code"] == 0
    assert log(task)["start_time"] <= log(task)["end_time"]
    assert log(task)["metadata"]["hostname"]


def test_views_show_what_was_asked_for(server: Server) -> None:
    inputs = [{"path": "/in", "content": "secret"}]
    task_id = server.create(["sh", "-c", "cat /in; cat /in >&2"], name="views", inputs=inputs)
    full = server.wait(task_id)
    assert log(full)["logs"][0]["stdout"] == log(full)["logs"][0]["stderr"] == "secret"
    assert full["inputs"][0]["content"] == "secret"
    assert log(full)["system_logs"]
    basic = server.get(task_id, "BASIC")
    assert basic["name"] == "views"
    assert "content" not in basic["inputs"][0]
    assert "system_logs" not in log(basic)
    assert not {"stdout", "stderr"} & set(log(basic)["logs"][0])
    assert server.get(task_id, "MINIMAL") == {"id": task_id, "state": "COMPLETE"}


def test_output_is_seen_while_the_task_runs(server: Server) -> None:
    task_id = server.create(["sh", "-c", "echo a; sleep 100"])

    def printed() -> bool:
        task = server.get(task_id)
        logs = log(task)["logs"]
        return bool(logs) and logs[0].get("stdout") == "a\n" and task["state"] == "RUNNING"

    until(printed)
    server.cancel(task_id)


def test_cancel_in_the_middle_of_three_executors(server: Server) -> None:
    task_id = server.create(["echo", "one"], ["sleep", "100"], ["echo", "three"])
    until(lambda: len(log(server.get(task_id))["logs"]) == 2)
    until(lambda: [one["State"] for one in containers(task_id)].count("running") == 1)
    assert server.state(task_id) == "RUNNING"
    server.cancel(task_id)
    assert server.state(task_id) == "CANCELED"
    until(lambda: not containers(task_id))
    assert len(log(server.get(task_id))["logs"]) == 2
    server.cancel(task_id)
    assert server.state(task_id) == "CANCELED"


def test_a_failing_command_stops_the_task(server: Server) -> None:
    task = server.run(["sh", "-c", "exit 3"], ["echo", "never"])
    assert task["state"] == "EXECUTOR_ERROR"
    assert [one["exit_code"] for one in log(task)["logs"]] == [3]


def test_an_ignored_error_does_not(server: Server) -> None:
    executors = [
        {"image": "alpine", "command": ["false"], "ignore_error": True},
        {"image": "alpine", "command": ["echo", "after"]},
    ]
    task = server.wait(server.create_task({"executors": executors}))
    assert task["state"] == "COMPLETE"
    assert [one["exit_code"] for one in log(task)["logs"]] == [1, 0]


def test_a_command_that_is_not_there_is_told_apart_from_a_missing_image(server: Server) -> None:
    task = server.run(["no-such-command", "x"])
    assert (task["state"], log(task)["logs"][0]["exit_code"]) == ("EXECUTOR_ERROR", 127)
    task = server.run(["true"], image="no-such-image.invalid/x:1")
    assert task["state"] == "SYSTEM_ERROR"
    assert any("no-such-image" in line for line in log(task)["system_logs"])


def test_only_the_end_of_much_output_is_kept(server: Server) -> None:
    noise = "head -c 1000000 /dev/urandom | base64; echo; echo; echo hello"
    task = server.run(["sh", "-c", noise])
    assert log(task)["logs"][0]["stdout"].endswith("\n\nhello\n")
    assert len(log(task)["logs"][0]["stdout"]) <= 10_000


def test_outputs_are_logged_with_their_sizes(server: Server) -> None:
    script = (
        "mkdir -p /tmp/outdir && printf abc > /tmp/outdir/bafile && "
        "printf hello > /tmp/outdir/fooofile && printf 1234 > /tmp/barfile"
    )
    base = f"file://{server.files}/logged"
    outputs = [
        {"path": "/tmp/outdir", "url": f"{base}/outdir", "type": "DIRECTORY"},
        {"path": "/tmp/barfile", "url": f"{base}/barfile"},
    ]
    task = server.run(["sh", "-c", script], outputs=outputs)
    assert [(one["url"], one["size_bytes"]) for one in log(task)["outputs"]] == [
        (f"{base}/outdir/bafile", "3"),
        (f"{base}/outdir/fooofile", "5"),
        (f"{base}/barfile", "4"),
    ]
    assert (server.files / "logged/outdir/fooofile").read_text() == "hello"


def test_an_input_is_mounted_where_it_is_and_cannot_be_changed(server: Server) -> None:
    source = server.files / "source.txt"
    source.write_text("precious")
    inputs = [{"path": "/data/in.txt", "url": f"file://{source}"}]
    outputs = [{"path": "/data/out.txt", "url": str(server.files / "copy.txt")}]
    script = "echo spoilt > /data/in.txt; cat /data/in.txt > /data/out.txt"
    task = server.run(["sh", "-c", script], inputs=inputs, outputs=outputs)
    assert task["state"] == "COMPLETE", log(task)["system_logs"]
    assert source.read_text() == "precious"
    assert (server.files / "copy.txt").read_text() == "precious"


def test_a_link_out_of_the_task_fails_it(server: Server) -> None:
    outputs = [{"path": "/out/x", "url": f"file://{server.files}/stolen"}]
    task = server.run(["ln", "-s", "/etc/shadow", "/out/x"], outputs=outputs)
    assert task["state"] == "SYSTEM_ERROR"
    assert not (server.files / "stolen").exists()


def test_two_tasks_wait_for_the_only_slot(make_server: Callable[..., Server]) -> None:
    server = make_server("--Local.Cpus", "1")
    first, second = server.create(["sleep", "2"]), server.create(["true"])
    until(lambda: server.state(first) == "RUNNING")
    assert server.state(second) == "QUEUED"
    one, two = server.wait(first), server.wait(second)
    assert (one["state"], two["state"]) == ("COMPLETE", "COMPLETE")
    assert log(one)["end_time"] <= log(two)["start_time"]
    never = server.run(["true"], resources={"cpu_cores": 999})
    assert never["state"] == "SYSTEM_ERROR"
    assert any("999" in line for line in log(never)["system_logs"])


def test_a_killed_server_finds_its_container_again(make_server: Callable[..., Server]) -> None:
    server = make_server()
    script = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.5; done"
    task_id = server.create(["sh", "-c", script])
    until(lambda: containers(task_id) and "2\\n" in str(log(server.get(task_id))["logs"]))
    (before,) = containers(task_id)
    server.stop(signal.SIGKILL)
    server.start()
    (after,) = containers(task_id)
    assert before["ID"] == after["ID"]
    task = server.wait(task_id)
    assert task["state"] == "COMPLETE", log(task)["system_logs"]
    assert log(task)["logs"][0]["stdout"] == "".join(f"{i}\n" for i in range(1, 9))
    until(lambda: not containers(task_id))


def test_nothing_is_left_behind(server: Server) -> None:
    task_id = server.create(["touch", "/tmp/x"])
    server.wait(task_id)
    until(lambda: not containers(task_id))
    until(lambda: not list((server.home / "work").glob(f"{task_id}*")))
    names = subprocess.run(["docker", "ps", "-a"], capture_output=True, text=True, check=True)
    assert task_id not in names.stdout


def test_both_streams_may_go_to_one_file(server: Server) -> None:
    stored = server.files / "both.txt"
    executor = {
        "image": "alpine",
        "command": ["sh", "-c", "echo out; echo err >&2"],
        "stdout": "/logs/both",
        "stderr": "/logs/both",
    }
    outputs = [{"path": "/logs/both", "url": f"file://{stored}"}]
    task = server.wait(server.create_task({"executors": [executor], "outputs": outputs}))
    assert task["state"] == "COMPLETE", log(task)["system_logs"]
    assert stored.read_text() == "out\nerr\n"
