"""A server that goes away and comes back while a program waits for it."""

import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from running import Server, until

from funnel import Client, State, task

pytestmark = [pytest.mark.timeout(180)]


def test_a_wait_outlasts_a_server_that_is_killed(make_server: Callable[..., Server]) -> None:
    server = make_server("--Compute", "noop")
    with Client(server.url) as tes, ThreadPoolExecutor() as threads:
        made = tes.create(task("true"))
        waiting = threads.submit(tes.wait, made)
        until(lambda: "funnel_http_waiting 1" in server.http.get("/metrics").text)
        for how in (signal.SIGKILL, signal.SIGTERM):
            server.stop(how)
            server.start()
        assert not waiting.done()
        server.cancel(made)
        assert waiting.result().state is State.CANCELED


@pytest.mark.engine
@pytest.mark.xdist_group("watching")
def test_a_log_is_told_whole_over_a_server_that_is_killed(
    make_server: Callable[..., Server],
) -> None:
    server = make_server()
    with Client(server.url) as tes:
        made = tes.create(task("for n in $(seq 60); do echo line $n; sleep 0.1; done"))
        logs = tes.logs(made, follow=True)
        first = next(logs)
        server.stop(signal.SIGKILL)
        server.start()
        assert first + "".join(logs) == "".join(f"line {n}\n" for n in range(1, 61))
        assert tes.wait(made).state is State.COMPLETE
