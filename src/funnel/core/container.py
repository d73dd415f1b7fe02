"""One container, as every runtime understands it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from funnel.core.value import Value

LABEL_DEPLOYMENT: Final = "funnel.deployment"
LABEL_TASK: Final = "funnel.task"
LABEL_ATTEMPT: Final = "funnel.attempt"
LABEL_EXECUTOR: Final = "funnel.executor"


class Stream(StrEnum):
    STDOUT = "stdout"
    STDERR = "stderr"


class Mount(Value):
    """A file or directory of the host, `source`, seen in the container at `target`."""

    source: str
    target: str
    writable: bool = False


class Container(Value, kw_only=True):
    """
    What to run. `command` is the whole argv; `cpus` and `memory_bytes` are limits, 0 is none.

    `stdin` says that something will be fed; without it the container reads an empty one.
    """

    name: str
    image: str
    command: tuple[str, ...]
    env: Mapping[str, str] = {}
    workdir: str = ""
    mounts: tuple[Mount, ...] = ()
    labels: Mapping[str, str] = {}
    cpus: float = 0.0
    memory_bytes: int = 0
    stdin: bool = False


class Chunk(Value):
    """A piece of what a container wrote, byte-exact."""

    stream: Stream
    data: bytes


class Exited(Value, kw_only=True):
    """How a container ended. `reason` is the engine's word where it has one."""

    code: int
    oom_killed: bool = False
    reason: str = ""


class Found(Value, kw_only=True):
    """
    A container of ours that the engine has; `age` is seconds since it was made.

    `started` says that it runs or has run, `running` that it runs now. `image` is the hash of
    its image, where the engine tells.
    """

    id: str
    name: str
    labels: Mapping[str, str]
    started: bool
    running: bool
    age: float
    image: str = ""
