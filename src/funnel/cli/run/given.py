"""What the flags of `funnel run` say."""

from enum import StrEnum

from funnel.core.value import Value


class Kind(StrEnum):
    SH = "sh"
    EXEC = "exec"


class Step(Value, kw_only=True):
    """One executor: a command, and the files that are attached to it."""

    kind: Kind
    command: str
    stdin: str = ""
    stdout: str = ""
    stderr: str = ""


class Given(Value, kw_only=True):
    """One task. What holds `KEY=VALUE` is as it was written."""

    steps: tuple[Step, ...] = ()
    container: str = "alpine"
    inputs: tuple[str, ...] = ()
    input_dirs: tuple[str, ...] = ()
    contents: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    output_dirs: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    zones: tuple[str, ...] = ()
    cpu: int = 0
    ram: float = 0.0
    disk: float = 0.0
    preemptible: bool = False
    name: str = ""
    description: str = ""
    workdir: str = ""
