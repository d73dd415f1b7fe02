"""Calling a command in this process, and in one of its own."""

import io
import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import Any, ClassVar

import pytest

from funnel.cli import call as call_command


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def documents(self) -> list[Any]:
        """What was printed, one JSON document after another."""
        found: list[Any] = []
        rest = self.out.strip()
        while rest:
            one, end = json.JSONDecoder().raw_decode(rest)
            found.append(one)
            rest = rest[end:].strip()
        return found

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


class Call:
    """`call("task", "list")` is what `funnel task list` does."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def at(self, port: int) -> None:
        """From now on, talk to the server at this port."""
        self._monkeypatch.setenv("FUNNEL_SERVER", f"127.0.0.1:{port}")

    def variable(self, name: str, value: str) -> None:
        self._monkeypatch.setenv(name, value)

    def __call__(self, *words: str, stdin: str | None = None) -> Answer:
        given = _Terminal() if stdin is None else io.TextIOWrapper(io.BytesIO(stdin.encode()))
        self._monkeypatch.setattr(sys, "stdin", given)
        self._capsys.readouterr()
        code = call_command(list(words))
        said = self._capsys.readouterr()
        return Answer(code, said.out, said.err)


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Process:
    """A command that goes on while the test does."""

    BEGIN: ClassVar = (sys.executable, "-m", "funnel")

    def __init__(self, port: int, *words: str) -> None:
        self._process = subprocess.Popen(
            [*self.BEGIN, *words],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "FUNNEL_SERVER": f"127.0.0.1:{port}"},
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def line(self) -> str:
        """The next line of standard output, without its end."""
        assert self._process.stdout
        return self._process.stdout.readline().rstrip("\n")

    def error_line(self) -> str:
        assert self._process.stderr
        return self._process.stderr.readline().rstrip("\n")

    def interrupt(self, how: signal.Signals = signal.SIGINT) -> None:
        """What Ctrl-C does, or another."""
        self._process.send_signal(how)

    def end(self) -> Answer:
        """What is left of its output, when it has ended."""
        out, err = self._process.communicate(timeout=30)
        return Answer(self._process.returncode, out, err)
