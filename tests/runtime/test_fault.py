import pytest

from funnel.runtime.fault import cannot_start, init_words

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
    assert error.code == 127
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
    assert error.code == 126


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


def test_init_processes_say_why_a_command_did_not_run() -> None:
    said = "[FATAL tini (7)] exec /etc failed: Permission denied"
    assert init_words(said) == "exec /etc failed: Permission denied"
    assert init_words("warning\n" + said) == "exec /etc failed: Permission denied"
    assert init_words("sh: nosuch: not found") == ""
