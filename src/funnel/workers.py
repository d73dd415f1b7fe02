"""Putting a worker together that runs by itself, or away from its server."""

import base64
import re
import socket
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

from msgspec import Raw, json
from msgspec.structs import replace as replace_value

from funnel.api.ending import ended_by_signals
from funnel.app import Opening, deployment_of
from funnel.config import Config
from funnel.config.sections import Credential
from funnel.core.attempts import asked
from funnel.core.error import Fenced, FunnelError, Invalid, InvalidTransition, NotFound
from funnel.core.hiding import secrets_of, without
from funnel.core.secret import Secret
from funnel.core.task import Spec, Task, TaskId
from funnel.core.value import Value
from funnel.keeper.keeper import kept
from funnel.keeper.order import Order
from funnel.link.call import Server
from funnel.link.gated import Gated
from funnel.link.link import Link, linked
from funnel.link.secure import credentials_for, plain
from funnel.link.unsaid import Unsaid, is_left
from funnel.net.clock import now
from funnel.net.jitter import chance, jittered
from funnel.plugins import find
from funnel.service.away import Away, clear_attempts
from funnel.service.ids import ids
from funnel.service.solo import Solo
from funnel.service.worker import Worker
from funnel.together import first_of
from funnel.wire.gen import worker_pb2 as pb

LONGEST_TAIL: Final = 1 << 20
"""Bytes of a stream that are sent to a server at once; what is before them is left out."""
NAME: Final = re.compile(r"[0-9A-Za-z_-]+")
TOKEN: Final = re.compile(r"[!-~]+")
IN_VARIABLE: Final = "FUNNEL_WORKER_TOKEN"
IN_FILE: Final = "FUNNEL_WORKER_TOKEN_FILE"


class Ended(Value):
    """How a worker has ended; `task` is as far as it knows. A second signal ends it at once."""

    task: Task
    stopped: bool


class Stopped(FunnelError):
    """The worker was stopped before it had begun."""


async def run_worker(config: Config, spec: Spec) -> Ended:
    """
    Run one task here, without any server; with its logs. To stop the worker cancels the task.

    Raises `Invalid` for backend parameters that cannot be read.
    """
    asked(spec.resources.backend_parameters)
    with ended_by_signals("what runs is stopped") as stop:
        async with AsyncExitStack() as stack:
            opening = Opening(stack, config)
            solo = Solo(ids(now)(), spec, now)
            # A server on the same work directory must not take its containers for leftovers.
            opening.host = replace_value(opening.host, deployment=solo.task_id)
            worker, runtime = await opening.worker(solo, await opening.storage())
            # A server waits for the engine; here somebody waits for us, and shall know why.
            await runtime.describe()
            async with kept(_order(config, worker, solo.task_id, sys.maxsize)):
                await first_of(stop.wait(), solo.run(worker.run))
            return Ended(_shown(solo.task), stop.is_set())


async def run_remote_worker(config: Config, task_id: TaskId, environ: Mapping[str, str]) -> Ended:
    """
    Run an attempt at a task of a server, which hears of all that happens.

    Raises `Fenced` where the attempt is another worker's, `Unavailable` without a server, and
    `Invalid` for what is no id: it names a directory here, which must not be another.
    """
    if not NAME.fullmatch(task_id):
        raise Invalid(f"{task_id!r} is no id of a task")
    work_dir = Path(config.worker.work_dir)
    with ended_by_signals("what runs is stopped") as stop:
        async with AsyncExitStack() as stack:
            settings = config.worker
            tail = min(settings.log_tail_size, LONGEST_TAIL)
            config = replace_value(config, worker=replace_value(settings, log_tail_size=tail))
            link = _link(config, task_id, environ)
            opening = Opening(stack, config)
            storage = Gated(await opening.storage(), link.authority)
            worker, runtime = await opening.worker(link, storage)
            await runtime.describe()
            try:
                await first_of(stop.wait(), stack.enter_async_context(linked(link)))
            except (Fenced, InvalidTransition, NotFound):
                await clear_attempts(
                    worker, task_id, lambda fence: is_left(_unsaid(work_dir, task_id, fence))
                )
                raise
            if stop.is_set():
                raise Stopped
            worker = replace(worker, database=link.database)
            order = replace_value(
                _order(config, worker, task_id, link.fence),
                lock=str(_unsaid(work_dir, task_id, link.fence)),
                grace=settings.restart_grace.total_seconds(),
            )
            async with kept(order):
                await Away(worker, link, task_id).run(stop)
            return Ended(_shown(link.task), stop.is_set())


def _shown(task: Task) -> Task:
    return without(task, secrets_of(task))


def _order(config: Config, worker: Worker, task_id: TaskId, fence: int) -> Order:
    """What is to be done should this process be killed."""
    settings = config.part(find("runtime", config.runtime))
    return Order(
        runtime=config.runtime,
        settings=Raw(json.encode(settings, enc_hook=Secret.reveal)),
        deployment=worker.deployment,
        task_id=task_id,
        fence=fence,
        stop_grace=config.worker.stop_grace,
        lock="",
        grace=0.0,
    )


def _link(config: Config, task_id: TaskId, environ: Mapping[str, str]) -> Link:
    rpc, work_dir = config.rpc_client, Path(config.worker.work_dir)
    server = Server(
        address=plain(rpc.server_address),
        metadata=credentials(rpc.credential, environ),
        credentials=credentials_for(
            rpc.server_address,
            ca_file=rpc.tls.ca_file,
            cert_file=rpc.tls.cert_file,
            key_file=rpc.tls.key_file,
        ),
        timeout=rpc.timeout.total_seconds() if rpc.timeout else None,
    )
    holder = f"{socket.gethostname()}/{deployment_of(work_dir)}"
    return Link(
        server,
        pb.Hello(task_id=task_id, holder=holder),
        lambda fence: Unsaid(_unsaid(work_dir, task_id, fence)),
        tries=rpc.max_retries,
        pause=lambda longest: jittered(longest, chance()),
    )


def _unsaid(work_dir: Path, task_id: TaskId, fence: int) -> Path:
    return Path(work_dir, task_id, str(fence), "private", "unsaid").absolute()


def credentials(user: Credential, environ: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """From where no list of processes shows it; a token goes before a password."""
    token = environ.get(IN_VARIABLE, "").strip()
    if not token and (path := environ.get(IN_FILE)):
        try:
            token = Path(path).read_text(errors="replace").strip()
        except OSError as error:
            raise FunnelError(f"{IN_FILE} {path} cannot be read: {error.strerror}") from error
    if token and not TOKEN.fullmatch(token):
        # gRPC would take it for a server that is out of reach, and try again.
        raise FunnelError(f"{IN_VARIABLE} or {IN_FILE} holds something else than one token")
    if not token and user.user:
        pair = base64.b64encode(f"{user.user}:{user.password.reveal()}".encode()).decode()
        return (("authorization", f"Basic {pair}"),)
    return (("authorization", f"Bearer {token}"),) if token else ()
