"""Both doors count together what one user does."""

from base64 import b64encode
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING

import doors
import grpc
import httpx
import pytest
import rpc
from grpc.aio import AioRpcError, Metadata

from funnel.api.grpc.faults import PUSHBACK
from funnel.auth.passwords import Passwords
from funnel.auth.settings import BasicCredential
from funnel.auth.users import Users
from funnel.ports import Database
from funnel.service.callers import Callers
from funnel.service.pace import pace_of
from funnel.wire.gen import tes_pb2 as pb
from funnel.wire.gen.tes_pb2_grpc import TaskServiceStub

if TYPE_CHECKING:
    from funnel.wire.gen.tes_pb2_grpc import TaskServiceAsyncStub

TASK = {"executors": [{"image": "alpine", "command": ["true"]}]}


def basic(password: str) -> str:
    return "Basic " + b64encode(f"ann:{password}".encode()).decode()


class Both:
    """One user at two doors; each answers with a name and the seconds until another try."""

    def __init__(self, http: httpx.AsyncClient, tes: "TaskServiceAsyncStub") -> None:
        self._http = http
        self._tes = tes

    async def over_http(self, password: str) -> tuple[str, int]:
        headers = {"authorization": basic(password)}
        answer = await self._http.post("/v1/tasks", json=TASK, headers=headers)
        wait = int(answer.headers.get("retry-after", 0))
        return answer.json().get("code", "OK"), wait

    async def over_grpc(self, password: str) -> tuple[str, int]:
        task = pb.Task(executors=[pb.Executor(image="alpine", command=["true"])])
        said = Metadata(("authorization", basic(password)))
        try:
            await self._tes.CreateTask(task, metadata=said)
        except AioRpcError as error:
            wait = dict(error.trailing_metadata() or ()).get(PUSHBACK, 0)
            return error.code().name, int(wait) // 1000
        return "OK", 0


@pytest.fixture
async def both(database: Database) -> AsyncGenerator[Both]:
    users = Users([BasicCredential(user="ann")], Passwords({"ann": "right"}))
    callers = Callers([users], pace=pace_of(0, 0.5))
    async with (
        doors.client(doors.door(database, callers=callers)) as http,
        rpc.channel(rpc.door(database, callers=callers)) as channel,
    ):
        yield Both(http, TaskServiceStub(channel))


async def test_wrong_logins_at_one_door_count_at_the_other(both: Both) -> None:
    for _ in range(5):
        assert await both.over_http("wrong") == ("UNAUTHENTICATED", 0)
        assert await both.over_grpc("wrong") == ("UNAUTHENTICATED", 0)
    for answer in (await both.over_http("right"), await both.over_grpc("right")):
        code, wait = answer
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED.name
        assert 0 < wait <= 6


async def test_creates_at_one_door_count_at_the_other(both: Both) -> None:
    created = [await ask("right") for ask in (both.over_http, both.over_grpc) * 2]
    assert created == [("OK", 0)] * 4
    assert await both.over_http("right") == ("OK", 0)
    for answer in (await both.over_http("right"), await both.over_grpc("right")):
        code, wait = answer
        assert code == grpc.StatusCode.RESOURCE_EXHAUSTED.name
        assert 0 < wait <= 2
