"""The client that is not asynchronous, with a real server."""

import asyncio
import gc
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import httpx
import pytest
from aiohttp import web
from board import Board, plain, strict, unchanged
from running import until
from scripted import Server, client

from funnel import Client, FunnelError, Invalid, NotFound, Spec, State, Task, View, task
from funnel.client.background import AHEAD
from funnel.client.events import NoStreams
from funnel.core.container import Stream

HELLO = task("echo hello", name="hello", tags={"kind": "greeting"})


@pytest.fixture(params=[unchanged, plain, strict])
def any_board(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Board]:
    opened = Board(tmp_path, request.param)
    opened.open()
    yield opened
    opened.close()


@pytest.fixture
def tes(board: Board) -> Iterator[Client]:
    with Client(f"127.0.0.1:{board.port}") as opened:
        yield opened


def test_a_task_is_made_looked_at_and_cancelled(tes: Client) -> None:
    made = tes.create(HELLO)
    assert tes.get(made).executors == HELLO.executors
    assert tes.get(made, View.MINIMAL) == Task(id=made, state=State.QUEUED)
    tes.cancel(made)
    assert tes.wait(made).state is State.CANCELED
    tes.delete(made)
    with pytest.raises(NotFound) as caught:
        tes.get(made)
    assert (caught.value.status, caught.value.code) == (404, "NOT_FOUND")


def test_a_task_is_described_by_values_by_plain_data_or_by_another_task(tes: Client) -> None:
    plain_data = {
        "name": "hello",
        "executors": [{"image": "alpine", "command": ["sh", "-c", "echo hello"]}],
        "tags": {"kind": "greeting"},
    }
    first = tes.get(tes.create(plain_data))
    again = tes.get(tes.create(first))
    assert again.id != first.id
    for one in (first, again):
        assert [getattr(one, name) for name in Spec.__struct_fields__] == [
            getattr(HELLO, name) for name in Spec.__struct_fields__
        ]


def test_what_is_wrong_with_a_task_is_told_field_by_field(tes: Client) -> None:
    with pytest.raises(Invalid) as caught:
        tes.create({"executors": [{"image": "", "command": []}]})
    assert [one.field for one in caught.value.problems] == [
        "executors[0].image",
        "executors[0].command",
    ]


def test_a_key_makes_one_task_of_two_calls(tes: Client) -> None:
    assert tes.create(HELLO, key="k") == tes.create(HELLO, key="k")


def test_tasks_are_listed_over_pages(tes: Client) -> None:
    made = [tes.create(HELLO) for _ in range(5)]
    tes.create(task("true"))
    tes.cancel(made[0])
    assert [one.id for one in tes.list(tags={"kind": "greeting"})] == made[::-1]
    assert [one.id for one in tes.list(state=State.CANCELED)] == made[:1]
    assert [one.name for one in islice(tes.list(name_prefix="hel"), 2)] == ["hello"] * 2
    pages = [*tes.pages(name_prefix="h", page_size=2, view=View.MINIMAL)]
    assert [one.id for page in pages for one in page.tasks] == made[::-1]
    assert len(pages) == 3


def test_a_server_says_what_it_is(tes: Client) -> None:
    assert tes.service_info().type.artifact == "tes"


def test_a_wait_ends_with_its_task_at_any_server(any_board: Board) -> None:
    with Client(f"127.0.0.1:{any_board.port}") as tes, ThreadPoolExecutor() as threads:
        made = tes.create(HELLO)
        ended = threads.submit(tes.wait, made, timeout=30)
        any_board.started(made)
        any_board.printed(made, "hello\n")
        any_board.ended(made, State.COMPLETE, code=0)
        assert ended.result().logs[-1].logs[-1].stdout == "hello\n"


def test_a_wait_may_be_given_up(tes: Client) -> None:
    made = tes.create(HELLO)
    with pytest.raises(TimeoutError, match=f"task {made} takes longer than 0.1 s"):
        tes.wait(made, timeout=0.1)
    with pytest.raises(TimeoutError):
        tes.run(HELLO, timeout=0.1)


def test_logs_are_told_as_they_come_at_any_server(any_board: Board) -> None:
    with Client(f"127.0.0.1:{any_board.port}") as tes:
        made = tes.create(HELLO)
        any_board.started(made)
        any_board.printed(made, "one\n")
        logs = tes.logs(made, follow=True)
        assert next(logs) == "one\n"
        any_board.printed(made, "wrong\n", stream=Stream.STDERR)
        any_board.printed(made, "two\n", start=4)
        any_board.ended(made, State.COMPLETE, code=0)
        assert sorted(logs) == ["two\n", "wrong\n"]
        assert [*tes.logs(made, stream=Stream.STDOUT)] == ["one\ntwo\n"]
        assert [*tes.logs(made, executor=1)] == []


def test_events_are_told_at_any_server(any_board: Board) -> None:
    with Client(f"127.0.0.1:{any_board.port}") as tes:
        made = tes.create(HELLO)
        events = tes.events(made)
        first = next(events)
        any_board.started(made)
        any_board.ended(made, State.COMPLETE)
        told = [first, *events]
    states = [one.data["state"] for one in told if one.kind == "statechanged"]
    assert states[-1] == "COMPLETE"
    assert (first.kind == "created") is (any_board.kind is unchanged)
    with Client(f"127.0.0.1:{any_board.port}") as tes:
        with pytest.raises(NotFound):
            next(tes.events("nothing"))
        if any_board.kind is not unchanged:
            with pytest.raises(NoStreams):
                next(tes.events())


def test_events_of_all_tasks_go_on_after_one(tes: Client) -> None:
    first, second = tes.create(HELLO), tes.create(HELLO)
    (of_first,) = islice(tes.events(after="0"), 1)
    assert of_first.data["task_id"] == first
    (of_second,) = islice(tes.events(after=of_first.id), 1)
    assert of_second.data["task_id"] == second


async def test_a_running_loop_is_in_nobodys_way(board: Board) -> None:
    with Client(f"127.0.0.1:{board.port}") as tes:
        made = tes.create(HELLO)
        assert [one.id for one in tes.list()] == [made]


def test_threads_share_a_client(tes: Client) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = [*threads.map(tes.create, [HELLO] * 40)]
        assert {one.id for one in threads.map(tes.get, made)} == set(made)
    assert len(set(made)) == 40


def test_a_closed_client_ends_what_is_asked_and_takes_no_more(board: Board) -> None:
    tes = Client(f"127.0.0.1:{board.port}")
    made = tes.create(HELLO)
    logs, looks = tes.logs(made, follow=True), threading.active_count()
    with ThreadPoolExecutor() as threads:
        waits = [threads.submit(tes.wait, made), threads.submit(next, logs)]
        until(lambda: threading.active_count() == looks + 2)
        tes.close()
        for one in waits:
            with pytest.raises(RuntimeError, match="closed"):
                one.result(timeout=30)
    tes.close()
    with pytest.raises(RuntimeError, match="this client is closed"):
        tes.get(made)
    with pytest.raises(RuntimeError, match="this client is closed"):
        next(tes.list())


def test_what_nobody_reads_on_may_be_collected_in_the_thread_of_the_loop(tes: Client) -> None:
    made = tes.create(HELLO)
    held = [tes.events(made)]
    next(held[0])

    async def forget() -> None:
        held.clear()
        gc.collect()

    tes.background.do(forget)
    assert tes.get(made).state is State.QUEUED


async def test_no_more_is_read_ahead_than_a_little() -> None:
    some = [{"id": "t", "state": "QUEUED"}] * AHEAD
    pages = 0

    async def page(_request: web.Request) -> web.StreamResponse:
        nonlocal pages
        pages += 1
        return web.json_response({"tasks": some, "next_page_token": str(pages)})

    def read(server: str) -> None:
        with Client(server) as tes:
            tasks = tes.list()
            next(tasks)
            assert pages <= 2
            assert len([*islice(tasks, 3 * AHEAD)]) == 3 * AHEAD
            assert pages <= 6
            tasks.close()
            tes.get("t")

    server = Server(page)
    async with client(server) as opened:
        with pytest.raises(FunnelError, match="not TES"):
            await asyncio.to_thread(read, opened.server.shown)


def script(board: Board, text: str) -> "subprocess.Popen[str]":
    """A program of a user, in which what is forgotten is an error."""
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "FUNNEL_SERVER": f"127.0.0.1:{board.port}"},
    )


FORK = """
import asyncio
import os
from funnel import Client, task
with Client() as client:
    made = client.create(task("true"))
    tasks = client.list()
    next(tasks)
    if not os.fork():
        for call in (lambda: client.get(made), lambda: next(client.list())):
            try:
                call()
            except RuntimeError as error:
                print(error, flush=True)
        del tasks
        client.close()
        with Client() as own:
            print(own.get(made).state, flush=True)
        os._exit(0)
    os.wait()
    print(client.get(made).state)
"""


def test_a_fork_needs_a_client_of_its_own(board: Board) -> None:
    out, err = script(board, FORK).communicate(timeout=30)
    refused = "this client was made before a fork: make one in each process"
    assert (out.splitlines(), err) == ([refused, refused, "QUEUED", "QUEUED"], "")


INTERRUPT = """
from funnel import Client, task
with Client() as client:
    made = client.create(task("true"))
    for call in (lambda: client.wait(made), lambda: list(client.logs(made, follow=True))):
        try:
            print("waits", flush=True)
            call()
        except KeyboardInterrupt:
            print(client.get(made).state, flush=True)
"""


def test_ctrl_c_ends_a_call_and_not_the_client(board: Board) -> None:
    process, server = script(board, INTERRUPT), f"http://127.0.0.1:{board.port}"
    assert process.stdout
    for _ in range(2):
        assert process.stdout.readline() == "waits\n"
        until(lambda: "funnel_http_waiting 1" in httpx.get(f"{server}/metrics").text)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "QUEUED\n"
    assert process.communicate(timeout=30) == ("", "")
    assert process.returncode == 0


FORGOTTEN = """
from funnel import Client, task
client = Client()
made = client.create(task("true"))
logs = client.logs(made, follow=True)
other = Client()
other.get(made)
del other
print(client)
"""


def test_a_client_that_nobody_closes_is_closed_with_the_program(board: Board) -> None:
    process = script(board, FORGOTTEN)
    out, err = process.communicate(timeout=30)
    assert (out, err) == (f"<Client for http://127.0.0.1:{board.port}>\n", "")
    assert process.returncode == 0
