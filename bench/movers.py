"""Programs that move files to and from S3: ours, and those that others have made."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Final

SCRIPT: Final = Path(__file__).resolve().parents[1] / "scripts" / "movers.sh"
ABREAST: Final = "32"
"""What each is told of how many files to move at once, where that can be told."""
USER: Final = ("tester", "testing")
"""As scripts/stores/s3.sh has him."""
COMPILED: Final = {"PYTHONDONTWRITEBYTECODE": ""}
"""As what is installed is, whatever was said for the sake of other programs."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one process: seconds, seconds of processor time, and the most bytes that it held."""

    seconds: float
    cpu: float
    peak: int


@dataclass(frozen=True, slots=True)
class Mover:
    """How a program is called; each list has `{url}`, `{path}`, or both, to be filled in."""

    name: str
    up: Sequence[str]
    down: Sequence[str]
    up_all: Sequence[str]
    down_all: Sequence[str]
    list_all: Sequence[str]
    environment: Mapping[str, str]

    def run(self, what: Sequence[str], url: str, path: Path | None = None) -> Cost:
        """`url` is below `s3://`."""
        argv = [one.format(url=url, path=path) for one in what]
        return run(argv, {**os.environ, **self.environment})


def run(argv: Sequence[str], environment: Mapping[str, str]) -> Cost:
    """Raises `RuntimeError` with what it said, where it fails."""
    began, peak = time.perf_counter(), 0
    with TemporaryFile() as said:
        process = subprocess.Popen(argv, env=environment, stdout=subprocess.DEVNULL, stderr=said)
        while not (ended := os.wait4(process.pid, os.WNOHANG))[0]:
            # Asked of the kernel at the end, it would be that of the process which made it, too.
            peak = max(peak, _peak(process.pid))
            time.sleep(0.005)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(ended[1])
        if process.returncode:
            said.seek(0)
            raise RuntimeError(f"{argv} ended with {process.returncode}: {said.read().decode()}")
    return Cost(seconds, ended[2].ru_utime + ended[2].ru_stime, peak)


def ours(settings: Path) -> Mover:
    funnel = (sys.executable, "-m", "funnel", "storage", "-c", str(settings))
    moving = ("--quiet", "--parallel", ABREAST)
    put = (*funnel, "put", "{path}", "s3://{url}", *moving)
    get = (*funnel, "get", "s3://{url}", "{path}", *moving)
    return Mover("funnel", put, get, put, get, (*funnel, "list", "s3://{url}"), COMPILED)


def others(endpoint: str) -> Sequence[Mover]:
    """Those that can be installed here."""
    told = subprocess.run([SCRIPT, "install"], check=True, stdout=subprocess.PIPE, text=True)
    made = {"aws": _aws, "rclone": _rclone, "s5cmd": _s5cmd}
    found = dict(line.split() for line in told.stdout.splitlines())
    return [made[name](path, endpoint) for name, path in found.items()]


def _aws(program: str, endpoint: str) -> Mover:
    s3 = (program, "--endpoint-url", endpoint, "s3")
    copy, quiet = (*s3, "cp"), ("--only-show-errors",)
    return Mover(
        "aws",
        (*copy, "{path}", "s3://{url}", *quiet),
        (*copy, "s3://{url}", "{path}", *quiet),
        (*copy, "{path}", "s3://{url}", "--recursive", *quiet),
        (*copy, "s3://{url}", "{path}", "--recursive", *quiet),
        (*s3, "ls", "--recursive", "s3://{url}/"),
        _keys(),
    )


def _rclone(program: str, endpoint: str) -> Mover:
    # Or it leaves out what a run before has left there.
    moving = ("--transfers", ABREAST, "--checkers", ABREAST, "--ignore-times")
    one, many = (program, "copyto", *moving), (program, "copy", *moving)
    return Mover(
        "rclone",
        (*one, "{path}", "x:{url}"),
        (*one, "x:{url}", "{path}"),
        (*many, "{path}", "x:{url}"),
        (*many, "x:{url}", "{path}"),
        (program, "lsf", "--recursive", "--files-only", "x:{url}"),
        {
            "RCLONE_CONFIG": "/dev/null",
            "RCLONE_CONFIG_X_TYPE": "s3",
            "RCLONE_CONFIG_X_PROVIDER": "SeaweedFS",
            "RCLONE_CONFIG_X_ENDPOINT": endpoint,
            "RCLONE_CONFIG_X_ACCESS_KEY_ID": USER[0],
            "RCLONE_CONFIG_X_SECRET_ACCESS_KEY": USER[1],
        },
    )


def _s5cmd(program: str, endpoint: str) -> Mover:
    s5cmd = (program, "--endpoint-url", endpoint, "--log", "error")
    copy = (*s5cmd, "cp")
    return Mover(
        "s5cmd",
        (*copy, "{path}", "s3://{url}"),
        (*copy, "s3://{url}", "{path}"),
        (*copy, "{path}/", "s3://{url}/"),
        (*copy, "s3://{url}/*", "{path}/"),
        (program, "--endpoint-url", endpoint, "ls", "s3://{url}/*"),
        _keys(),
    )


def _keys() -> Mapping[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": USER[0],
        "AWS_SECRET_ACCESS_KEY": USER[1],
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": "/dev/null",
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _peak(pid: int) -> int:
    """The most bytes so far; 0 when it has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) << 10
    return 0
