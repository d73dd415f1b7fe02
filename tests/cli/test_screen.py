import io

import pytest

from funnel.cli.screen import CLEAR, LOST, Screen
from funnel.client.tail import Piece
from funnel.core.container import Stream


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def piece(text: str, stream: Stream = Stream.STDOUT, *, lost: bool = False) -> Piece:
    return Piece(attempt=0, executor=0, stream=stream, text=text, lost=lost)


@pytest.fixture
def terminal() -> Terminal:
    return Terminal()


def test_how_far_things_are_is_shown_below_the_output(terminal: Terminal) -> None:
    screen = Screen(terminal, terminal)
    screen.below("RUNNING")
    screen.below("RUNNING")
    screen.print(piece("hello\n"))
    screen.below("RUNNING, 2 s")
    screen.end()
    assert terminal.getvalue() == f"{CLEAR}RUNNING{CLEAR}hello\n{CLEAR}RUNNING, 2 s{CLEAR}"


def test_an_unfinished_line_is_left_alone_until_the_end(terminal: Terminal) -> None:
    screen = Screen(terminal, terminal)
    screen.print(piece("50 %"))
    screen.below("RUNNING")
    screen.print(piece(", 100 %"))
    screen.end()
    assert terminal.getvalue() == "50 %, 100 %\n"


def test_a_task_does_not_command_the_terminal(terminal: Terminal) -> None:
    screen = Screen(terminal, terminal)
    screen.print(piece("\x1b[2J\x1b]52;c;aGk=\x07\x9b5n\u202eevil\b\t50 %\r100 %\n"))
    screen.print(piece("\x1b[1;31merror\x1b[0m\n", Stream.STDERR))
    said = terminal.getvalue()
    assert {one for one in said if not one.isprintable()} == {"\t", "\r", "\n"}
    assert said.endswith("\t50 %\r100 %\nerror\n")


def test_elsewhere_there_is_only_the_output() -> None:
    out, err = io.StringIO(), io.StringIO()
    screen = Screen(out, err)
    screen.below("RUNNING")
    screen.print(piece("a"))
    screen.print(piece("b", Stream.STDERR))
    screen.end()
    assert (out.getvalue(), err.getvalue()) == ("a", "b")


def test_missing_output_is_told_beside_the_output() -> None:
    out, err = io.StringIO(), io.StringIO()
    Screen(out, err).print(piece("a", lost=True))
    assert (out.getvalue(), err.getvalue()) == ("a", LOST)
