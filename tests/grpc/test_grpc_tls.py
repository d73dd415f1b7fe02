"""Who gets through to gRPC where it speaks TLS, and as whom."""

import asyncio
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
from certificates import DAY, Authority, Issued
from grpc.aio import AioRpcError, Channel, Metadata, insecure_channel, secure_channel
from listening import until
from rpc import door

from funnel.api.tls import Certificates, Files
from funnel.auth.keys import Keys
from funnel.auth.tokens import Tokens
from funnel.core.task import TaskId
from funnel.ports import Database
from funnel.service.callers import Callers
from funnel.together import alongside
from funnel.wire.gen import tes_pb2 as pb
from funnel.wire.gen.tes_pb2_grpc import TaskServiceStub

NOW = datetime(2026, 11, 28, tzinfo=UTC)
TOKENS = Tokens(Keys(bytes([1]) * 32), lambda: NOW)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def nodes() -> Authority:
    """Issues certificates of nodes."""
    return Authority("nodes")


def written(issued: Issued, directory: Path, clients: Authority | None = None) -> Certificates:
    certificate, key = issued.written(directory)
    roots = directory / "clients.pem" if clients else None
    if clients and roots:
        roots.write_bytes(clients.certificate)
    return Certificates(Files(certificate=certificate, key=key, client_ca=roots))


def trusting(authority: Authority, shown: Issued | None = None) -> grpc.ChannelCredentials:
    key, chain = (shown.key, shown.certificate) if shown else (None, None)
    return grpc.ssl_channel_credentials(authority.certificate, key, chain)


@asynccontextmanager
async def served(database: Database, certificates: Certificates) -> AsyncGenerator[str]:
    of = door(database, certificates=certificates, callers=Callers(tokens=TOKENS))
    port = of.listen("127.0.0.1", 0)
    async with alongside(of.serve()):
        yield f"127.0.0.1:{port}"


async def info(channel: Channel, token: str = "") -> str:
    """The name of the server, or the code of the refusal."""
    said = Metadata(("authorization", f"Bearer {token}")) if token else None
    try:
        answer = await TaskServiceStub(channel).GetServiceInfo(
            pb.GetServiceInfoRequest(), metadata=said, timeout=20
        )
    except AioRpcError as error:
        return error.code().name
    return str(answer.name)


async def asked(address: str, credentials: grpc.ChannelCredentials, token: str = "") -> str:
    async with secure_channel(address, credentials) as channel:
        return await info(channel, token)


@pytest.mark.parametrize(
    ("names", "lasts"),
    [(("127.0.0.1",), -timedelta(seconds=1)), (("elsewhere.example",), DAY)],
)
async def test_no_call_goes_where_it_should_not(
    database: Database,
    tmp_path: Path,
    authority: Authority,
    names: tuple[str, ...],
    lasts: timedelta,
) -> None:
    async with served(database, written(authority.issue(names, lasts), tmp_path)) as address:
        assert await asked(address, trusting(authority)) == "UNAVAILABLE"


async def test_plain_text_and_strangers_do_not_get_through(
    database: Database, tmp_path: Path, authority: Authority
) -> None:
    async with served(database, written(authority.issue(), tmp_path)) as address:
        assert await asked(address, trusting(authority)) == "Funnel"
        assert await asked(address, trusting(Authority())) == "UNAVAILABLE"
        async with insecure_channel(address) as channel:
            assert await info(channel) == "UNAVAILABLE"


async def test_with_an_authority_for_clients_none_comes_without_its_certificate(
    database: Database, tmp_path: Path, authority: Authority, nodes: Authority
) -> None:
    n1, over = nodes.issue(["n1"]), nodes.issue(["n1"], -timedelta(seconds=1))
    async with served(database, written(authority.issue(), tmp_path, nodes)) as address:
        assert await asked(address, trusting(authority, n1)) == "Funnel"
        for shown in (None, over, authority.issue(["n1"]), Authority().issue(["n1"])):
            assert await asked(address, trusting(authority, shown)) == "UNAVAILABLE"


SPEAKING: Mapping[str, tuple[tuple[str, ...], str, str]] = {
    "itself": (("n1",), "n1", "PERMISSION_DENIED"),
    "itself by one of its names": (("host.example", "n1"), "n1", "PERMISSION_DENIED"),
    "another": (("n2",), "n1", "UNAUTHENTICATED"),
    "one whose name is longer": (("n11",), "n1", "UNAUTHENTICATED"),
    "one of its domain": (("n1.example",), "n1", "UNAUTHENTICATED"),
    "all by a wildcard": (("*.example",), "n1.example", "UNAUTHENTICATED"),
}


@pytest.mark.parametrize("case", SPEAKING)
async def test_a_node_speaks_only_as_its_certificate_names_it(
    database: Database, tmp_path: Path, authority: Authority, nodes: Authority, case: str
) -> None:
    """A node that is known may not see the service, which is another answer."""
    names, claimed, answer = SPEAKING[case]
    token = TOKENS.of_node(claimed, timedelta(minutes=1)).reveal()
    async with served(database, written(authority.issue(), tmp_path, nodes)) as address:
        credentials = trusting(authority, nodes.issue(names))
        assert await asked(address, credentials, token) == answer


async def test_a_worker_may_run_on_any_node(
    database: Database, tmp_path: Path, authority: Authority, nodes: Authority
) -> None:
    token = TOKENS.of_worker(TaskId("t1"), 1, timedelta(minutes=1)).reveal()
    async with served(database, written(authority.issue(), tmp_path, nodes)) as address:
        credentials = trusting(authority, nodes.issue(["n1"]))
        assert await asked(address, credentials, token) == "PERMISSION_DENIED"


async def test_no_call_is_lost_while_certificates_change(
    database: Database, tmp_path: Path, authority: Authority
) -> None:
    certificates = written(authority.issue(), tmp_path)
    calls = [0, 0, 0, 0]
    is_over = asyncio.Event()

    async def call(number: int, *, anew: bool) -> None:
        while not is_over.is_set():
            # Channels of one process share connections, but for those that are told not to.
            apart = [("grpc.use_local_subchannel_pool", 1)]
            async with secure_channel(address, trusting(authority), options=apart) as channel:
                for _ in range(1 if anew else 20):
                    assert await info(channel) == "Funnel"
                    calls[number] += 1

    async with served(database, certificates) as address, asyncio.TaskGroup() as group:
        for number in range(4):
            group.create_task(call(number, anew=number % 2 == 0))
        for _ in range(20):
            before = list(calls)
            authority.issue().written(tmp_path)
            await asyncio.to_thread(certificates.look)
            await until(lambda before=before: all(map(int.__gt__, calls, before)))
        is_over.set()


async def test_new_connections_are_shown_the_new_certificate(
    database: Database, tmp_path: Path, authority: Authority
) -> None:
    other = Authority("other")
    certificates = written(authority.issue(), tmp_path)
    async with served(database, certificates) as address:
        assert await asked(address, trusting(authority)) == "Funnel"
        other.issue().written(tmp_path)
        certificates.look()
        assert await asked(address, trusting(other)) == "Funnel"
        assert await asked(address, trusting(authority)) == "UNAVAILABLE"
