"""
Tasks as protobuf messages, to and from the values of `core`.

What proto3 has no word for is written as in TES JSON: an exit code that is not known is -1.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Final

from msgspec import ValidationError, convert, json
from msgspec.structs import asdict

from funnel.core.error import Invalid, Problem
from funnel.core.info import Organization, ServiceInfo, ServiceType
from funnel.core.state import State
from funnel.core.task import (
    Executor,
    ExecutorLog,
    FileType,
    Input,
    Output,
    OutputFileLog,
    Resources,
    Spec,
    Task,
    TaskId,
    TaskLog,
)
from funnel.wire.document import UNKNOWN_EXIT_CODE
from funnel.wire.gen import tes_pb2 as pb

MOST_SHOWN: Final = 100

_STATES: Final = {state: pb.State.Value(state.value) for state in State}
_STATE_OF: Final = {number: state for state, number in _STATES.items()}
_FILE_TYPES: Final = {one: pb.FileType.Value(one.value) for one in FileType}
_FILE_TYPE_OF: Final = {number: one for one, number in _FILE_TYPES.items()}
_NO_RESOURCES: Final = Spec().resources
"""The default itself: msgspec leaves out, where it encodes, what is this very object."""


def read_spec(task: pb.Task) -> Spec:
    """
    What a client sends to be created; fields that the server makes are ignored.

    Raises `Invalid` with each number of an enumeration that has no name.
    """
    problems = tuple(_unnamed(task))[:MOST_SHOWN]
    if problems:
        texts = "; ".join(f"{one.field}: {one.message}" for one in problems)
        raise Invalid(f"not a task: {texts}", problems)
    return Spec(
        name=task.name,
        description=task.description,
        executors=tuple(map(_executor, task.executors)),
        inputs=tuple(map(_input, task.inputs)),
        outputs=tuple(map(_output, task.outputs)),
        resources=_resources(task.resources) if task.HasField("resources") else _NO_RESOURCES,
        volumes=tuple(task.volumes),
        tags=_map(task.tags),
    )


def write_spec(spec: Spec) -> pb.Task:
    """What to send to have a task created."""
    written = pb.Task(
        name=spec.name,
        description=spec.description,
        executors=map(_write_executor, spec.executors),
        inputs=map(_write_input, spec.inputs),
        outputs=map(_write_output, spec.outputs),
        volumes=spec.volumes,
        tags=spec.tags,
    )
    if spec.resources is not _NO_RESOURCES and spec.resources != _NO_RESOURCES:
        written.resources.CopyFrom(_write_resources(spec.resources))
    return written


def write_task(task: Task) -> pb.Task:
    written = write_spec(task)
    written.id = task.id
    written.state = _STATES[task.state]
    written.logs.extend(map(_write_log, task.logs))
    written.creation_time = write_time(task.creation_time)
    return written


def read_task(task: pb.Task) -> Task:
    """What a server shows; a state without a name here is UNKNOWN. Raises `Invalid`."""
    return Task(
        **asdict(read_spec(task)),
        id=TaskId(task.id),
        state=_STATE_OF.get(task.state, State.UNKNOWN),
        logs=tuple(map(_log, task.logs)),
        creation_time=_read_time(task.creation_time),
    )


def read_info(info: pb.ServiceInfo) -> ServiceInfo:
    kind, organization = info.type, info.organization
    return ServiceInfo(
        id=info.id,
        name=info.name,
        type=ServiceType(group=kind.group, artifact=kind.artifact, version=kind.version),
        organization=Organization(
            name=organization.get("name", ""), url=organization.get("url", "")
        ),
        version=info.version,
        storage=tuple(info.storage),
        backend_parameters=tuple(info.tesResources_backend_parameters),
        description=info.description,
        contact_url=info.contactUrl,
        documentation_url=info.documentationUrl,
        created_at=_read_time(info.createdAt),
        updated_at=_read_time(info.updatedAt),
        environment=info.environment,
    )


def write_time(at: datetime | None) -> str:
    """As TES JSON has it; empty for none."""
    return json.encode(at)[1:-1].decode() if at else ""


def _unnamed(task: pb.Task) -> Iterator[Problem]:
    """Numbers that the language of messages lets pass, and TES does not."""
    types = {"inputs": [one.type for one in task.inputs]}
    types["outputs"] = [one.type for one in task.outputs]
    for name, numbers in types.items():
        for at, number in enumerate(numbers):
            if number not in _FILE_TYPE_OF:
                known = " or ".join(FileType)
                yield Problem(f"{name}[{at}].type", f"expected {known}, got an integer")


def _map(given: Mapping[str, str]) -> Mapping[str, str]:
    """In an order of its own, which messages have not."""
    return dict(sorted(given.items()))


def _executor(one: pb.Executor) -> Executor:
    return Executor(
        image=one.image,
        command=tuple(one.command),
        workdir=one.workdir,
        stdin=one.stdin,
        stdout=one.stdout,
        stderr=one.stderr,
        env=_map(one.env),
        ignore_error=one.ignore_error,
    )


def _input(one: pb.Input) -> Input:
    return Input(
        path=one.path,
        url=one.url,
        content=one.content,
        type=_FILE_TYPE_OF[one.type],
        name=one.name,
        description=one.description,
        streamable=one.streamable,
    )


def _output(one: pb.Output) -> Output:
    return Output(
        path=one.path,
        url=one.url,
        path_prefix=one.path_prefix,
        type=_FILE_TYPE_OF[one.type],
        name=one.name,
        description=one.description,
    )


def _resources(given: pb.Resources) -> Resources:
    found = Resources(
        cpu_cores=given.cpu_cores,
        ram_gb=given.ram_gb,
        disk_gb=given.disk_gb,
        preemptible=given.preemptible,
        zones=tuple(given.zones),
        backend_parameters=_map(given.backend_parameters),
        backend_parameters_strict=given.backend_parameters_strict,
    )
    return _NO_RESOURCES if found == _NO_RESOURCES else found


def _log(log: pb.TaskLog) -> TaskLog:
    return TaskLog(
        logs=tuple(map(_executor_log, log.logs)),
        outputs=tuple(
            OutputFileLog(path=one.path, url=one.url, size_bytes=one.size_bytes)
            for one in log.outputs
        ),
        metadata=_map(log.metadata),
        system_logs=tuple(log.system_logs),
        start_time=_read_time(log.start_time),
        end_time=_read_time(log.end_time),
    )


def _executor_log(log: pb.ExecutorLog) -> ExecutorLog:
    return ExecutorLog(
        start_time=_read_time(log.start_time),
        end_time=_read_time(log.end_time),
        exit_code=log.exit_code,
        stdout=log.stdout,
        stderr=log.stderr,
    )


def _read_time(text: str) -> datetime | None:
    try:
        return convert(text, datetime) if text else None
    except ValidationError:
        raise Invalid(f"{text!r} is not a time") from None


def _write_executor(one: Executor) -> pb.Executor:
    return pb.Executor(
        image=one.image,
        command=one.command,
        workdir=one.workdir,
        stdin=one.stdin,
        stdout=one.stdout,
        stderr=one.stderr,
        env=one.env,
        ignore_error=one.ignore_error,
    )


def _write_input(one: Input) -> pb.Input:
    return pb.Input(
        path=one.path,
        url=one.url,
        content=one.content,
        type=_FILE_TYPES[one.type],
        name=one.name,
        description=one.description,
        streamable=one.streamable,
    )


def _write_output(one: Output) -> pb.Output:
    return pb.Output(
        path=one.path,
        url=one.url,
        path_prefix=one.path_prefix,
        type=_FILE_TYPES[one.type],
        name=one.name,
        description=one.description,
    )


def _write_resources(given: Resources) -> pb.Resources:
    return pb.Resources(
        cpu_cores=given.cpu_cores,
        ram_gb=given.ram_gb,
        disk_gb=given.disk_gb,
        preemptible=given.preemptible,
        zones=given.zones,
        backend_parameters=given.backend_parameters,
        backend_parameters_strict=given.backend_parameters_strict,
    )


def _write_log(log: TaskLog) -> pb.TaskLog:
    return pb.TaskLog(
        logs=map(_write_executor_log, log.logs),
        outputs=map(_write_file, log.outputs),
        metadata=log.metadata,
        system_logs=log.system_logs,
        start_time=write_time(log.start_time),
        end_time=write_time(log.end_time),
    )


def _write_executor_log(log: ExecutorLog) -> pb.ExecutorLog:
    return pb.ExecutorLog(
        start_time=write_time(log.start_time),
        end_time=write_time(log.end_time),
        exit_code=UNKNOWN_EXIT_CODE if log.exit_code is None else log.exit_code,
        stdout=log.stdout,
        stderr=log.stderr,
    )


def _write_file(one: OutputFileLog) -> pb.OutputFileLog:
    return pb.OutputFileLog(path=one.path, url=one.url, size_bytes=one.size_bytes)
