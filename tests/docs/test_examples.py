"""What the pages say is what happens: each `console` block is typed, and its output compared."""

import os
import re
import signal
import socket
import subprocess
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from running import free_port, until

ROOT = Path(__file__).parents[2]
PAGES = (
    "README.md",
    "docs/tutorial.md",
    "docs/how-to/accounts.md",
    "docs/how-to/http-api.md",
    "docs/how-to/operate.md",
    "docs/how-to/python.md",
    "docs/how-to/retries-and-limits.md",
    "docs/how-to/tls.md",
)
SERVER = "funnel server run >server.log 2>&1 &\nsleep 3"
END = "-- end of output --"
SAME = (
    (re.compile(r"\b[0-9a-v]{20}\b"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT[0-9:.]+Z"), "<time>"),
)

pytestmark = [pytest.mark.engine, pytest.mark.xdist_group("docs"), pytest.mark.timeout(180)]


def examples(page: str) -> Iterator[tuple[str, list[str]]]:
    """Each command of a page, and the lines that it shall print."""
    content = (ROOT / page).read_text()
    if "funnel server run" not in content:
        yield SERVER, []
    for block in re.findall(r"```console\n(.*?)```", content, re.DOTALL):
        command, printed = "", list[str]()
        for line in block.splitlines():
            if line.startswith("$ "):
                if command:
                    yield command, printed
                command, printed = line[2:], []
            elif line == ">" or line.startswith("> "):
                command += "\n" + line[2:]
            else:
                printed.append(line)
        yield command, printed


def like(line: str) -> str:
    for pattern, word in SAME:
        line = pattern.sub(word, line)
    return line.rstrip()


def agrees(said: list[str], printed: list[str]) -> bool:
    """A line `...` in the page stands for any number of lines."""
    wanted = "\n".join(".*" if line.strip() == "..." else re.escape(like(line)) for line in said)
    return re.fullmatch(wanted, "\n".join(map(like, printed)), re.DOTALL) is not None


def answers(port: str) -> bool:
    """The pages wait a few seconds for their server; a busy machine may need more."""
    with suppress(OSError), socket.create_connection(("localhost", int(port)), timeout=5):
        return True
    return False


@contextmanager
def nothing_left_of(session: int) -> Generator[None]:
    """Stop the server that a page has started, also when the page is wrong."""
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(session, signal.SIGTERM)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_prints_what_it_says(page: str, tmp_path: Path) -> None:
    port, rpc_port = str(free_port()), str(free_port())
    environment = {
        **os.environ,
        "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
        "FUNNEL__SERVER__HTTP_PORT": port,
        "FUNNEL__SERVER__RPC_PORT": rpc_port,
        "FUNNEL_RPC_SERVER": f"localhost:{rpc_port}",
        "FUNNEL_SERVER": f"http://localhost:{port}",
    }
    shell = subprocess.Popen(
        ["bash"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        env=environment,
        start_new_session=True,
    )
    assert shell.stdin
    assert shell.stdout
    with shell, shell.stdin, nothing_left_of(shell.pid):
        for command, said in examples(page):
            typed = command.replace("localhost:8000", f"localhost:{port}")
            # The shell reads what is typed; its commands must not.
            ending = f"\n}} </dev/null\nstatus=$?\necho; echo '{END}'\n(exit $status)\n"
            shell.stdin.write(f"{{ {typed}{ending}")
            shell.stdin.flush()
            printed = list[str]()
            for line in shell.stdout:
                if line.rstrip("\n") == END:
                    break
                printed.append(line.rstrip("\n"))
            if command.startswith("funnel server run"):
                until(lambda: answers(port))
            while printed and not printed[-1]:
                printed.pop()
            assert agrees(said, printed), f"{page}: {command}\n" + "\n".join(printed)
