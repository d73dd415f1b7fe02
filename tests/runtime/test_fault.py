import pytest

from funnel.runtime.fault import cannot_start, may_be_of_init, of_init

RUNC = "failed to create shim task: OCI runtime create failed: runc create failed: "
UNABLE = RUNC + "unable to start container process: "
OLD = "OCI runtime create failed: container_linux.go:380: starting container process caused: "


@pytest.mark.parametrize(
    "words",
    [
        UNABLE + 'exec: "nosuch": executable file not found in $PATH: unknown',
        UNABLE + 'error during container init: exec: "nosuch": executable file not found in $PATH',
        UNABLE + 'exec: "/no/such": stat /no/such: no such file or directory: unknown',
        OLD + 'exec: "nosuch": executable file not found in $PATH: unknown',
        "crun: executable file `nosuch` not found in $PATH: No such file or directory",
    ],
)
def test_a_command_that_is_not_there_is_127(words: str) -> None:
    error = cannot_start(words)
    assert error is not None
    assert error.exit_code == 127
    assert words in str(error)


@pytest.mark.parametrize(
    "words",
    [
        UNABLE + 'exec: "/etc/passwd": permission denied: unknown',
        UNABLE + 'exec: "/etc": is a directory: unknown',
        UNABLE + "exec /app: exec format error",
        OLD + 'exec: "/etc": permission denied: unknown',
        "Cannot mkdir: /etc/passwd is not a directory",
        "the working directory 'here' is invalid, it needs to be an absolute path",
        "crun: open executable: Permission denied: OCI permission denied",
    ],
)
def test_a_command_that_cannot_be_run_is_126(words: str) -> None:
    error = cannot_start(words)
    assert error is not None
    assert error.exit_code == 126


@pytest.mark.parametrize(
    "words",
    [
        "No such image: nosuch:latest",
        'invalid mount config for type "bind": bind source path does not exist: /gone',
        "failed to initialize logging driver: no space left on device",
        "Error response from daemon: open /var/lib/docker/x: permission denied",
        "no such file or directory",
        "",
    ],
)
def test_faults_of_the_engine_are_not_the_tasks(words: str) -> None:
    assert cannot_start(words) is None


@pytest.mark.parametrize(
    ("code", "stderr", "expected"),
    [
        (126, "[FATAL tini (7)] exec /etc failed: Permission denied", (126, "exec /etc failed")),
        (127, "x\n[FATAL tini (7)] exec a failed: No such file or directory", (127, "exec a")),
        (1, "ERROR (catatonit:6): failed to exec pid1: No such file or directory", (127, "failed")),
        (1, "ERROR (catatonit:6): failed to exec pid1: Permission denied", (126, "failed")),
        (127, "sh: nosuch: not found", (127, "")),
        (1, "", (1, "")),
    ],
)
def test_init_processes_say_why_a_command_did_not_run(
    code: int, stderr: str, expected: tuple[int, str]
) -> None:
    assert may_be_of_init(code)
    seen, words = of_init(code, stderr)
    assert seen == expected[0]
    assert words.startswith(expected[1])
    assert bool(words) == bool(expected[1])
