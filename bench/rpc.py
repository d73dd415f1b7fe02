"""gRPC against HTTP: the same creates and gets by as many clients, by turns, at one server."""

from collections.abc import Iterator, Sequence

from google.protobuf.json_format import ParseDict

from bench.door import DIFFERENT, NOTHING, row
from bench.measure import Pace, Row, ratios
from bench.served import Ran, Served, call, get, post, served
from bench.task import TASK
from funnel.wire.gen import tes_pb2 as pb

CLIENTS = 16
CREATE = "/tes.TaskService/CreateTask"
GET = "/tes.TaskService/GetTask"


def grpc(pace: Pace) -> Iterator[Row]:
    tasks = [{**TASK, "name": f"align {n}"} for n in range(DIFFERENT)]
    with served(*NOTHING) as one:
        posts = [post("/tasks", task) for task in tasks]
        calls = [call(CREATE, ParseDict(task, pb.Task())) for task in tasks]
        yield from _rows("create", one, posts, calls, pace)
        with one.client() as client:
            made = [client.post("/tasks", json=TASK).json()["id"] for _ in range(50)]
        for view in ("MINIMAL", "FULL"):
            gets = [get(f"/tasks/{task}?view={view}") for task in made]
            calls = [call(GET, pb.GetTaskRequest(id=task, view=view)) for task in made]
            yield from _rows(f"get {view}", one, gets, calls, pace)


def _rows(
    work: str, one: Served, requests: Sequence[str], calls: Sequence[str], pace: Pace
) -> Iterator[Row]:
    http, rpc = list[Ran](), list[Ran]()
    for _ in range(pace.repeats):
        http += one.load(CLIENTS, requests, Pace(pace.seconds, 1))
        rpc += one.calls(CLIENTS, calls, Pace(pace.seconds, 1))
    share = ratios([run.rate for run in rpc], [run.rate for run in http])
    told = f"{Row(work='', unit='', repeats=share).figure:.2f} of HTTP"
    yield row(f"{work} over HTTP, {CLIENTS} clients", http)
    yield row(f"{work} over gRPC, {CLIENTS} clients", rpc, None, told)
