"""From what flags say to a task."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final

from funnel.cli.run.flags import words
from funnel.cli.run.given import Given, Kind, Step
from funnel.client.task import inside, url
from funnel.core.error import Invalid
from funnel.core.task import Executor, FileType, Input, Output, Resources, Spec

LONGEST_NAME: Final = 1000

Read = Callable[[str], str]
"""The content of a file as text."""


def spec(given: Given, read: Read) -> Spec:
    """The task that the flags describe. Raises `Invalid`."""
    if not given.steps:
        raise Invalid("no command: give one, as in `funnel run 'echo hello'`, or --sh, or --exec")
    mounted = _Mounted(given, read)
    env = _distinct([*mounted.paths(), *(_pair("--env", one) for one in given.env)])
    return Spec(
        name=given.name or _name(given.steps[0]),
        description=given.description,
        executors=tuple(_executor(given, step, at, env) for at, step in enumerate(given.steps)),
        inputs=(*_stdins(given.steps), *mounted.inputs),
        outputs=(*_prints(given.steps), *mounted.outputs),
        resources=Resources(
            cpu_cores=given.cpu,
            ram_gb=given.ram,
            disk_gb=given.disk,
            zones=given.zones,
            preemptible=given.preemptible,
        ),
        volumes=given.volumes,
        tags=dict(_pair("--tag", one) for one in given.tags),
    )


class _Mounted:
    """The files of a task that have names: where they are, and where containers see them."""

    def __init__(self, given: Given, read: Read) -> None:
        self.inputs = (
            *_inputs("--in", given.inputs, FileType.FILE),
            *_inputs("--in-dir", given.input_dirs, FileType.DIRECTORY),
            *_contents(given.contents, read),
        )
        self.outputs = (
            *_outputs("--out", given.outputs, FileType.FILE),
            *_outputs("--out-dir", given.output_dirs, FileType.DIRECTORY),
        )

    def paths(self) -> Iterator[tuple[str, str]]:
        """Name and path in the container of each: what executors find in their environment."""
        files: Iterable[Input | Output] = chain(self.inputs, self.outputs)
        return ((one.name, one.path) for one in files)


def _inputs(flag: str, given: Iterable[str], kind: FileType) -> Iterator[Input]:
    for name, path in (_pair(flag, one) for one in given):
        yield Input(name=name, url=url(path), path=inside("/inputs", path), type=kind)


def _contents(given: Iterable[str], read: Read) -> Iterator[Input]:
    for name, path in (_pair("--content", one) for one in given):
        yield Input(name=name, path=inside("/inputs", path), content=read(path))


def _outputs(flag: str, given: Iterable[str], kind: FileType) -> Iterator[Output]:
    for name, path in (_pair(flag, one) for one in given):
        yield Output(name=name, url=url(path), path=inside("/outputs", path), type=kind)


def _executor(given: Given, step: Step, at: int, env: dict[str, str]) -> Executor:
    return Executor(
        image=given.container,
        command=_command(step),
        workdir=given.workdir,
        env=env,
        stdin=f"/inputs/stdin-{at}" if step.stdin else "",
        stdout=f"/outputs/stdout-{at}" if step.stdout else "",
        stderr=f"/outputs/stderr-{at}" if step.stderr else "",
    )


def _command(step: Step) -> tuple[str, ...]:
    """A shell gets its text as it is, quotes and all."""
    return ("sh", "-c", step.command) if step.kind is Kind.SH else tuple(words(step.command))


def _stdins(steps: Iterable[Step]) -> Iterator[Input]:
    for at, step in enumerate(steps):
        if step.stdin:
            yield Input(name=f"stdin-{at}", url=url(step.stdin), path=f"/inputs/stdin-{at}")


def _prints(steps: Iterable[Step]) -> Iterator[Output]:
    for at, step in enumerate(steps):
        for stream, path in (("stdout", step.stdout), ("stderr", step.stderr)):
            if path:
                name = f"{stream}-{at}"
                yield Output(name=name, url=url(path), path=f"/outputs/{name}")


def _name(step: Step) -> str:
    text = f"sh -c '{step.command}'" if step.kind is Kind.SH else step.command
    return text[:LONGEST_NAME]


def _pair(flag: str, given: str) -> tuple[str, str]:
    """KEY=VALUE, cut at the first equals sign; the value may hold anything, also commas."""
    key, equals, value = given.partition("=")
    if not equals or not key:
        raise Invalid(
            f"{flag} {given!r} is not KEY=VALUE; --in, --out, --content, --env and --tag take that"
        )
    return key, value


def _distinct(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for key, value in pairs:
        if key in found:
            raise Invalid(f"the key {key!r} is given twice among inputs, outputs and env")
        found[key] = value
    return found
