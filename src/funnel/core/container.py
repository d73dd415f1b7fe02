"""One container, as every runtime understands it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from funnel.core.value import Value

STOPPED: Final = frozenset({137, 143})
"""Exit codes of what was killed, or asked to stop."""

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


class Usage(Value, kw_only=True):
    """
    What a container used in all, as far as it is known; a runtime may know nothing.

    The memory is what counts against its limit, its share of the file cache included.
    """

    peak_memory_bytes: int | None = None
    cpu_seconds: float | None = None


class Exited(Value, kw_only=True):
    """
    How a container ended. `reason` is the engine's word where it has one.

    `oom_killed` says that one of its processes at least was killed for want of memory.
    `unseen` says that it ended while the engine was gone: what it printed last may be lost.
    """

    code: int
    oom_killed: bool = False
    reason: str = ""
    unseen: bool = False
    usage: Usage = Usage()

    def doubt(self, *, keeps_output: bool) -> str:
        """Why nobody can vouch for this end, "" where one can; `keeps_output` into a file."""
        if not self.unseen:
            return ""
        gone = "the container engine was gone for a while"
        if self.code in STOPPED and not self.oom_killed:
            return f"{gone}, and seems to have stopped the container: it ended with {self.code}"
        if self.code == 0 and keeps_output:
            return f"{gone} when the container ended, and may have lost what it printed last"
        return ""


class Found(Value, kw_only=True):
    """
    A container of ours that the engine has.

    `started` says that it runs or has run, `running` that it runs now. `image` is the hash of
    its image, where the engine tells.
    """

    id: str
    name: str
    labels: Mapping[str, str]
    started: bool
    running: bool
    image: str = ""
