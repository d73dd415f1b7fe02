"""A real server, told to stop while it is called."""

import re
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import grpc
from running import Server, until

from funnel.wire.gen import tes_pb2 as pb
from funnel.wire.gen.tes_pb2_grpc import TaskServiceStub

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "grpc.md"
TASK = pb.Task(executors=[pb.Executor(image="alpine", command=["true"])])


class Caller:
    """Creates tasks until it is not answered; `code` says why then."""

    def __init__(self, address: str, enough: Event) -> None:
        self.made: list[str] = []
        self.code = ""
        self._enough = enough
        self._channel = grpc.insecure_channel(address)

    def go_on(self) -> None:
        create = TaskServiceStub(self._channel).CreateTask
        try:
            while True:
                self.made.append(create(TASK, timeout=30).id)
                if len(self.made) == 20:
                    self._enough.set()
        except grpc.RpcError as error:
            self.code = error.code().name
        self._channel.close()


def test_a_server_that_stops_loses_no_task_that_it_has_answered_for(
    make_server: Callable[..., Server],
) -> None:
    server = make_server("--Compute", "noop", "--Runtime", "nothing")
    enough = Event()
    callers = [Caller(f"127.0.0.1:{server.rpc_port}", enough) for _ in range(8)]
    with ThreadPoolExecutor(len(callers)) as pool:
        going = [pool.submit(one.go_on) for one in callers]
        assert enough.wait(30)
        assert server.stop() == 0
        for one in going:
            one.result()
    assert {one.code for one in callers} == {"UNAVAILABLE"}
    server.start()
    made = [task_id for one in callers for task_id in one.made]
    assert {server.state(task_id) for task_id in made} == {"QUEUED"}
    assert len(set(made)) == len(made) >= 20


def test_a_server_says_where_it_is_reached(make_server: Callable[..., Server]) -> None:
    server = make_server("--Compute", "noop", "--Runtime", "nothing")
    until(lambda: "serving gRPC" in server.log.read_text())
    said = re.findall(r"serving (.*)", server.log.read_text())
    assert said == [f"TES at {server.url}", f"gRPC at 127.0.0.1:{server.rpc_port}"]


def test_the_example_of_the_page_says_how_it_is_done(make_server: Callable[..., Server]) -> None:
    server = make_server("--Compute", "noop", "--Runtime", "nothing")
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", example.replace("9090", str(server.rpc_port))],
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.stdout == "QUEUED\n"
