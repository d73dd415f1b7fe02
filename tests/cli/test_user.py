"""The hash of a password, which no list of processes and no terminal has seen."""

import os
import pty
import subprocess
import sys

import pytest
from calling import Call

from funnel.auth.passwords import matches


@pytest.mark.parametrize("given", ["pike\n", "pike", "pike\r\n", "pike\nmore\n"])
def test_the_first_line_of_a_pipe_is_hashed(call: Call, given: str) -> None:
    answer = call("user", "hash", stdin=given)
    assert answer.code == 0
    (line,) = answer.lines
    assert matches(line, "pike")
    assert "pike" not in answer.out + answer.err


def test_spaces_are_part_of_it(call: Call) -> None:
    assert matches(call("user", "hash", stdin=" a b \n").lines[0], " a b ")


@pytest.mark.parametrize("given", ["", "\n"])
def test_no_password_has_no_hash(call: Call, given: str) -> None:
    answer = call("user", "hash", stdin=given)
    assert (answer.code, answer.out) == (1, "")
    assert "empty" in answer.err


def test_it_is_no_word_of_the_command(call: Call) -> None:
    answer = call("user", "hash", "pike", stdin="")
    assert answer.code == 1


def test_at_a_terminal_it_is_asked_for_twice_and_not_shown() -> None:
    ours, theirs = pty.openpty()
    argv = ["setsid", "--ctty", "--wait", sys.executable, "-m", "funnel", "user", "hash"]
    with subprocess.Popen(argv, stdin=theirs, stdout=subprocess.PIPE, stderr=theirs) as asked:
        shown = b""
        for prompt in (b"Password: ", b"confirmation: "):
            while not shown.endswith(prompt):
                shown += os.read(ours, 1)
            os.write(ours, b"pike\n")
        assert asked.stdout
        printed = asked.stdout.read().decode().strip()
    os.close(theirs)
    os.close(ours)
    assert asked.returncode == 0
    assert matches(printed, "pike")
    assert b"pike" not in shown
