"""The client that speaks gRPC, with the real server and with one that says what the test wants."""

import subprocess
import sys
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

import grpc
import pytest
from certificates import Authority
from running import Server

from funnel import (
    Busy,
    Client,
    Conflict,
    FunnelError,
    GrpcClient,
    Invalid,
    NotFound,
    State,
    Unavailable,
    View,
    task,
)
from funnel.client.given import TRIES
from funnel.wire.gen import tes_pb2 as pb

HELLO = task("echo hello", name="hello", tags={"kind": "greeting"})
WORD = "swordfish"
NEWER = b"\x22\x02t2\x50\x63"
"""A task in a state that only a later server knows."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    one = Server(tmp_path_factory.mktemp("server"), ("--Compute", "noop"))
    one.start()
    yield one
    one.stop()
    one.http.close()


@pytest.fixture
def tes(server: Server) -> Iterator[GrpcClient]:
    with GrpcClient(f"127.0.0.1:{server.rpc_port}") as opened:
        yield opened


def test_both_clients_tell_the_same(server: Server, tes: GrpcClient) -> None:
    made = tes.create(HELLO)
    with Client(server.url) as http:
        for view in View:
            assert tes.get(made, view) == http.get(made, view)
        tes.cancel(made)
        assert tes.get(made) == http.wait(made)
        assert tes.get(made).state is State.CANCELED
        named = http.service_info()
        assert tes.service_info() == named
        assert [*tes.list(view=View.FULL)] == [*http.list(view=View.FULL)]


def test_tasks_are_made_of_plain_data_once_for_a_key(tes: GrpcClient) -> None:
    described = {"executors": [{"image": "alpine", "command": ["true"]}], "tags": {"a": None}}
    made = tes.create(described, key="k")
    assert tes.create(described, key="k") == made
    with pytest.raises(Conflict) as caught:
        tes.create(HELLO, key="k")
    assert (caught.value.status, caught.value.code) == (0, "ALREADY_EXISTS")
    assert tes.create(tes.get(made)) != made


def test_tasks_are_listed_by_what_they_are(tes: GrpcClient) -> None:
    made = [tes.create(task("true", name="wren", tags={"bird": "wren"})) for _ in range(3)]
    tes.cancel(made[1])
    assert [one.id for one in tes.list(tags={"bird": ""})] == made[::-1]
    assert [one.id for one in tes.list(tags={"bird": "owl"})] == []
    assert [one.id for one in tes.list(name_prefix="wr", state=State.CANCELED)] == [made[1]]
    assert len([*islice(tes.list(view=View.MINIMAL), 2)]) == 2


def test_refusals_are_the_errors_of_the_other_client(tes: GrpcClient) -> None:
    with pytest.raises(NotFound) as missing:
        tes.get("nothing")
    assert missing.value.code == "NOT_FOUND"
    with pytest.raises(Invalid, match="at least one executor is required"):
        tes.create({})
    with pytest.raises(Invalid) as wrong:
        tes.create(task([], image=""))
    assert [one.field for one in wrong.value.problems] == [
        "executors[0].image",
        "executors[0].command",
    ]
    with pytest.raises(Invalid, match="excutors: unknown field, did you mean executors"):
        tes.create({"excutors": []})


def test_threads_share_a_client(tes: GrpcClient) -> None:
    with ThreadPoolExecutor(8) as threads:
        made = [*threads.map(tes.create, [HELLO] * 40)]
    assert len(set(made)) == 40


class Scripted:
    """Refuses with these codes, one after another, and then does it."""

    def __init__(self, *codes: grpc.StatusCode) -> None:
        self.codes = list(codes)
        self.asked: list[dict[str, str | bytes]] = []

    def create(self, request: pb.Task, context: grpc.ServicerContext) -> pb.CreateTaskResponse:
        self._take(context)
        return pb.CreateTaskResponse(id=request.name)

    def pages(
        self, request: pb.ListTasksRequest, context: grpc.ServicerContext
    ) -> pb.ListTasksResponse:
        """Pages of one task, and an empty one in between."""
        self._take(context)
        asked = request.page_token
        following = {"": "1", "1": "2", "2": ""}[asked]
        queued, newer = pb.Task(id="t1", state=pb.QUEUED), pb.Task.FromString(NEWER)
        tasks = {"": [queued], "1": [], "2": [newer]}[asked]
        return pb.ListTasksResponse(tasks=tasks, next_page_token=following)

    def add_to(self, server: grpc.Server) -> None:
        methods = {
            "CreateTask": grpc.unary_unary_rpc_method_handler(
                self.create, pb.Task.FromString, pb.CreateTaskResponse.SerializeToString
            ),
            "ListTasks": grpc.unary_unary_rpc_method_handler(
                self.pages, pb.ListTasksRequest.FromString, pb.ListTasksResponse.SerializeToString
            ),
        }
        handler = grpc.method_handlers_generic_handler("tes.TaskService", methods)
        server.add_generic_rpc_handlers((handler,))

    def _take(self, context: grpc.ServicerContext) -> None:
        self.asked.append(dict(context.invocation_metadata()))
        if self.codes:
            context.abort(self.codes.pop(0), "because")


@contextmanager
def serving(servicer: Scripted, folder: Path | None = None) -> Generator[str]:
    with ThreadPoolExecutor() as threads:
        server = grpc.server(threads)
        servicer.add_to(server)
        if folder:
            authority = Authority()
            (folder / "ca.pem").write_bytes(authority.certificate)
            issued = authority.issue()
            pair = (issued.key, issued.certificate)
            port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
        else:
            port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        yield f"127.0.0.1:{port}"
        server.stop(None).wait()


def test_a_call_is_repeated_with_its_key_where_the_server_is_busy_or_away() -> None:
    servicer = Scripted(grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
    with serving(servicer) as where, GrpcClient(where) as tes:
        assert tes.create(HELLO) == "hello"
        keys = {one["idempotency-key"] for one in servicer.asked}
        assert (len(servicer.asked), len(keys)) == (3, 1)
        tes.create(HELLO, key="mine")
        assert servicer.asked[-1]["idempotency-key"] == "mine"


@pytest.mark.parametrize(
    ("code", "kind", "tries"),
    [
        (grpc.StatusCode.UNAVAILABLE, Unavailable, TRIES),
        (grpc.StatusCode.RESOURCE_EXHAUSTED, Busy, TRIES),
        (grpc.StatusCode.INTERNAL, FunnelError, 1),
        (grpc.StatusCode.FAILED_PRECONDITION, Conflict, 1),
    ],
)
def test_tries_come_to_an_end(code: grpc.StatusCode, kind: type[FunnelError], tries: int) -> None:
    servicer = Scripted(*[code] * 9)
    with serving(servicer) as where, GrpcClient(where) as tes:
        with pytest.raises(kind, match="because") as caught:
            tes.create(HELLO)
        assert (type(caught.value), caught.value.code) == (kind, code.name)
    assert len(servicer.asked) == tries


def test_a_list_goes_on_to_the_last_page() -> None:
    with serving(Scripted()) as where, GrpcClient(where) as tes:
        assert [one.id for one in tes.list()] == ["t1", "t2"]
        assert [one.state for one in tes.list()] == [State.QUEUED, State.UNKNOWN]


def test_a_server_that_is_not_there_is_told_within_the_timeout() -> None:
    away = pytest.raises(Unavailable, match=r"http://127\.0\.0\.1:1 does not answer")
    with GrpcClient("127.0.0.1:1", timeout=3) as tes, away:
        tes.get("t")


def test_who_is_asking_is_said_and_never_shown(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    servicer = Scripted()
    with serving(servicer) as where:
        with GrpcClient(where, token=WORD) as tes:
            tes.create(HELLO)
            assert WORD not in f"{tes}{tes.server}{caplog.text}"
        monkeypatch.setenv("FUNNEL_RPC_SERVER", f"http://ann:{WORD}@{where}")
        with GrpcClient() as tes:
            tes.create(HELLO)
    assert [one["authorization"] for one in servicer.asked] == [
        f"Bearer {WORD}",
        "Basic YW5uOnN3b3JkZmlzaA==",
    ]


def test_a_server_is_trusted_for_the_authority_in_a_file(tmp_path: Path) -> None:
    servicer = Scripted()
    with serving(servicer, tmp_path) as where:
        pem = str(tmp_path / "ca.pem")
        with GrpcClient(f"https://{where}", ca_file=pem, token=WORD) as tes:
            assert tes.create(HELLO) == "hello"
        away = pytest.raises(Unavailable, match="does not answer")
        with GrpcClient(f"https://{where}", token=WORD, timeout=3) as tes, away:
            tes.create(HELLO)
        with pytest.raises(Invalid, match="cannot read the authorities in /nosuch"):
            GrpcClient(f"https://{where}", ca_file="/nosuch")
    assert len(servicer.asked) == 1


FORK = """
import os, sys
from funnel import GrpcClient
with GrpcClient(sys.argv[1]) as client:
    print(client.service_info().type.artifact, flush=True)
    if not os.fork():
        try:
            client.get("t")
        except RuntimeError as error:
            print(error, flush=True)
        os._exit(0)
    os.wait()
    print(client.service_info().type.artifact)
"""


def test_a_fork_needs_a_client_of_its_own(server: Server) -> None:
    argv = [sys.executable, "-W", "error", "-c", FORK, f"127.0.0.1:{server.rpc_port}"]
    done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=30)
    assert done.stdout.splitlines() == [
        "tes",
        "this client was made before a fork: make one in each process",
        "tes",
    ]
