"""
Whether time tells a task of somebody else from one that is not there.

    python -m bench.alike [--calls N] [--rounds R]

One client of one server asks in random order for tasks of another user, for ids that nobody has,
for more of those (which says what chance makes of the same), and for ids of another form. Each
operation of each door is judged by the test of Mann and Whitney, which outliers of a busy machine
do not move: two kinds differ where each of the rounds finds the same one slower by more than 4.5
standard errors, the bound of dudect. Ends with 1 where a foreign id differs from an absent one.
"""

import argparse
import base64
import random
import socket
import statistics
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from math import sqrt
from operator import itemgetter
from typing import Final, TypeAlias

import grpc
import httpx
from grpc import UnaryUnaryMultiCallable

from bench.served import Served, create, scratch, served
from bench.task import TASK
from funnel.wire.gen import tes_pb2 as pb

CALLS: Final = 5_000
ROUNDS: Final = 2
BOUND: Final = 4.5
TASKS: Final = 200
SETTINGS: Final = """
Compute: noop
Server:
  TaskAccess: Owner
  BasicAuth:
    - {User: ann, Password: pike}
    - {User: bob, Password: carp}
"""
Ask: TypeAlias = Callable[[str], bytes]
Door: TypeAlias = Callable[[Served], AbstractContextManager[Ask]]


@dataclass(frozen=True, slots=True)
class Seen:
    """How much longer a kind takes than ids that nobody has: standard errors, and of the time."""

    errors: float
    longer: float


def slower(ones: Sequence[float], others: Sequence[float]) -> Seen:
    """By the rank sum test; ties have the middle of their ranks."""
    marked = sorted([(one, 1) for one in ones] + [(other, 0) for other in others])
    ranks, begun = 0.0, 0
    for _, same in groupby(marked, key=itemgetter(0)):
        tied = [mark for _, mark in same]
        ranks += sum(tied) * (begun + (len(tied) + 1) / 2)
        begun += len(tied)
    n, m = len(ones), len(others)
    errors = (ranks - n * (n + m + 1) / 2) / sqrt(n * m * (n + m + 1) / 12)
    return Seen(errors, _middle(ones) / _middle(others) - 1)


def _middle(times: Sequence[float]) -> float:
    """The mean of the middle half."""
    quarter = len(times) // 4
    return statistics.fmean(sorted(times)[quarter : len(times) - quarter])


def round_of(ask: Ask, ids: Mapping[str, Sequence[str]], calls: int) -> Mapping[str, Seen]:
    """Of each kind of ids but `absent`, against that."""
    times: dict[str, list[float]] = {kind: [] for kind in ids}
    order = [kind for kind in ids for _ in range(calls)]
    random.shuffle(order)
    for kind in order:
        asked = random.choice(ids[kind])
        start = time.perf_counter()
        answer = ask(asked)
        times[kind].append(time.perf_counter() - start)
        if asked.encode() not in answer:
            raise ValueError(f"the answer is not that of an absent task: {answer!r}")
    return {kind: slower(times[kind], times["absent"]) for kind in ids if kind != "absent"}


def differs(rounds: Sequence[Seen]) -> bool:
    return all(one.errors > BOUND for one in rounds) or all(one.errors < -BOUND for one in rounds)


@contextmanager
def over_http(line: str, one: Served) -> Generator[Ask]:
    wire = socket.create_connection(("127.0.0.1", one.port), 60)
    wire.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    said = f" HTTP/1.1\r\nHost: x\r\nAuthorization: {_basic('ann', 'pike')}\r\n\r\n"

    def ask(task_id: str) -> bytes:
        wire.sendall((line.format(task_id) + said).encode())
        answer = wire.recv(1 << 16)
        if not answer.startswith(b"HTTP/1.1 404 "):
            raise ValueError(f"the answer is not that of an absent task: {answer!r}")
        return answer

    with wire:
        yield ask


@contextmanager
def over_grpc(method: str, one: Served) -> Generator[Ask]:
    wire = grpc.insecure_channel(f"127.0.0.1:{one.rpc_port}")
    call: UnaryUnaryMultiCallable[bytes, bytes] = wire.unary_unary(f"/tes.TaskService/{method}")
    said = (("authorization", _basic("ann", "pike")),)

    def ask(task_id: str) -> bytes:
        try:
            call(pb.GetTaskRequest(id=task_id).SerializeToString(), metadata=said, timeout=60)
        except grpc.RpcError as error:
            return str(error).encode()
        raise ValueError("the task of somebody else is shown")

    with wire:
        yield ask


DOORS: Final[Mapping[str, Door]] = {
    "HTTP get MINIMAL": partial(over_http, "GET /v1/tasks/{}"),
    "HTTP get FULL": partial(over_http, "GET /v1/tasks/{}?view=FULL"),
    "HTTP wait": partial(over_http, "GET /v1/tasks/{}?wait=10s"),
    "HTTP cancel": partial(over_http, "POST /v1/tasks/{}:cancel"),
    "HTTP logs": partial(over_http, "GET /v1/tasks/{}/logs"),
    "HTTP events": partial(over_http, "GET /v1/tasks/{}/events"),
    "gRPC GetTask": partial(over_grpc, "GetTask"),
    "gRPC CancelTask": partial(over_grpc, "CancelTask"),
}


def _basic(user: str, password: str) -> str:
    return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"


def ids_of(one: Served) -> Mapping[str, Sequence[str]]:
    with httpx.Client(base_url=f"http://127.0.0.1:{one.port}", auth=("bob", "carp")) as bob:
        foreign = [create(bob, TASK) for _ in range(TASKS)]
    # Beside those that are there, so that it is not the caches of the processor that are compared.
    unknown = [f"{task[:-1]}{other}" for task in foreign for other in ("x", "y")]
    random.shuffle(unknown)
    return {
        "absent": unknown[:TASKS],
        "foreign": foreign,
        "absent too": unknown[TASKS:],
        "of another form": [f"{task[:-2]}.~" for task in foreign],
    }


def found(calls: int, rounds: int) -> Iterator[tuple[str, Mapping[str, Sequence[Seen]]]]:
    with scratch() as folder:
        settings = folder / "funnel.yaml"
        settings.write_text(SETTINGS)
        with served("--config", str(settings)) as one:
            ids = ids_of(one)
            for name, opened in DOORS.items():
                with opened(one) as ask:
                    round_of(ask, ids, calls // 20)
                    seen = [round_of(ask, ids, calls) for _ in range(rounds)]
                yield name, {kind: [each[kind] for each in seen] for kind in seen[0]}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--calls", type=int, default=CALLS, help="of each kind, in each round")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    asked = parser.parse_args()
    told = False
    for name, kinds in found(asked.calls, asked.rounds):
        for kind, seen in kinds.items():
            verdict = "DIFFERS" if differs(seen) else "alike"
            told |= kind == "foreign" and differs(seen)
            figures = ", ".join(f"{each.errors:+.1f} ({each.longer:+.2%})" for each in seen)
            print(f"{name:<17} {kind:<16} {verdict:<8} {figures}", flush=True)
    sys.exit(told)


if __name__ == "__main__":
    main()
