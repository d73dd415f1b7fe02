import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import click
import pytest
from calling import Call

from funnel.cli import COMMANDS, funnel
from funnel.cli.lazy import LazyGroup, same_name

ROOT = Path(__file__).parents[2]
UNNEEDED = ("aiohttp", "configparser", "difflib", "email", "html", "xml.etree", "yaml", "yarl")
HEAVY = ("aiohttp", "httpx", "httptools", "uvloop", "asyncio", "yaml", "aiodocker")

INTERRUPTED = """
import signal
import sys

class Interrupting:
    def find_spec(self, name, path, target=None):
        if name == {!r}:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
"""
"""Ctrl-C when a module is loaded."""


def test_help_loads_nothing_heavy() -> None:
    script = (
        "import sys; from funnel.cli import call; code = call(['--help']);"
        f"print([name for name in {HEAVY} if name in sys.modules], code, file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stderr == "[] 0\n"
    assert "Run the server." in done.stdout


def test_a_list_of_files_loads_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    script = (
        f"import sys; from funnel.cli import call; code = call(['storage', 'list', '{tmp_path}']);"
        f"print([name for name in {UNNEEDED} if name in sys.modules], code, file=sys.stderr)"
    )
    # What measures coverage would load some of them itself.
    environ = {name: one for name, one in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env=environ,
    )
    assert done.stderr == "[] 0\n"


@pytest.mark.parametrize(
    "name", ["typing", "click", "funnel.cli.lazy", "funnel.cli.storage.list", "uvloop"]
)
def test_an_interrupt_while_things_are_loaded_ends_it_without_a_word(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTED.format(name))
    environ = {name: one for name, one in os.environ.items() if not name.startswith("COVERAGE_")}
    done = subprocess.run(
        [sys.executable, "-m", "funnel", "storage", "list", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        env={**environ, "PYTHONPATH": str(tmp_path)},
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "\n")


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_standard_streams_may_be_closed(tmp_path: Path, closed: str) -> None:
    (tmp_path / "a").touch()
    words = (sys.executable, "-m", "funnel", "storage", "put", "a", f"file://{tmp_path}/b")
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh", *words], check=False, cwd=tmp_path
    )
    assert done.returncode == 0
    assert (tmp_path / "b").exists()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_has_help(call: Call, name: str) -> None:
    answer = call(name, "--help")
    assert answer.code == 0
    assert answer.out.startswith(f"Usage: funnel {name}")


def test_the_help_of_a_command_says_what_the_table_says() -> None:
    ctx = click.Context(funnel)
    for name in COMMANDS:
        command = funnel.get_command(ctx, name)
        assert command
        assert command.name == name
        if isinstance(command, LazyGroup):
            for below in command.list_commands(ctx):
                found = command.get_command(ctx, below)
                assert found
                assert found.name == below


@pytest.mark.parametrize(("alias", "name"), [("tasks", "task"), ("example", "examples")])
def test_aliases_are_other_names_for_the_same(call: Call, alias: str, name: str) -> None:
    assert call(alias, "--help").out == call(name, "--help").out


def test_flags_are_the_same_in_any_case_and_with_any_separator() -> None:
    names = {"Server.HTTPPort", "server-http-port", "SERVER_HTTPPORT", "serverhttpport"}
    assert len({same_name(name) for name in names}) == 1
    assert same_name("I") != same_name("i")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("tusk",), "Error: No such command 'tusk'; see funnel --help"),
        (
            ("task", "list", "--page-siz", "3"),
            "Error: no such flag --page-siz, did you mean --page-size?; see funnel task list",
        ),
        (
            ("server", "run", "--Server.HTTPort=80"),
            "Error: no such flag --Server.HTTPort, did you mean --Server.HTTPPort?; see funnel",
        ),
        (("task", "get"), "Error: Missing argument 'ID...'; see funnel task get --help"),
        (("examples", "helo-world"), "Error: no example 'helo-world', did you mean hello-world?"),
    ],
)
def test_a_mistake_is_told_in_one_line(call: Call, words: tuple[str, ...], says: str) -> None:
    answer = call(*words)
    assert answer.code == 1
    assert answer.err.startswith(says)
    assert answer.err.count("\n") == 1
    assert answer.out == ""


def test_a_fault_of_the_system_is_told_in_one_line_too(call: Call, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    answer = call("server", "run", "--Logger.OutputFile", "file/x.log")
    assert answer.code == 1
    assert answer.err == f"Error: cannot use {tmp_path}/file/x.log: Not a directory\n"


def test_a_wheel_knows_the_commit_it_was_built_of(tmp_path: Path) -> None:
    def said(*words: str, **given: Any) -> str:
        return subprocess.run(words, capture_output=True, text=True, check=True, **given).stdout

    checkout, wheels = tmp_path / "checkout", tmp_path / "wheels"
    for name in ("src", "scripts"):
        unmade = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, checkout / name, ignore=unmade)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    git = ("git", "-C", f"{checkout}", "-c", "user.name=ann", "-c", "user.email=ann@example.org")
    for words in (("init", "--quiet"), ("add", "."), ("commit", "--quiet", "--message", "all")):
        said(*git, *words)
    build = ("-m", "hatchling", "build", "-t", "wheel", "-d", f"{wheels}")
    said(sys.executable, *build, cwd=checkout)
    (wheel,) = wheels.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "all")
    script = "from funnel.cli import main; main(['version'])"
    where = {"PYTHONPATH": f"{tmp_path / 'all'}"}
    shown = said(sys.executable, "-c", script, env=where, cwd=tmp_path)
    assert said(*git, "rev-parse", "HEAD").strip() in shown


def test_version_is_that_which_is_installed(call: Call) -> None:
    assert call("version").lines[-1].split() == ["version:", version("funnel-tes")]


def test_version_has_the_lines_of_the_reference(call: Call) -> None:
    names = [line.split(":")[0] for line in call("version").lines]
    assert names == ["git commit", "git branch", "git upstream", "build date", "version"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completions_are_printed(call: Call, shell: str) -> None:
    assert "_FUNNEL_COMPLETE" in call("completion", shell).out


def test_completions_know_commands_and_flags() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from funnel.cli import main; main()"],
        capture_output=True,
        text=True,
        env={"_FUNNEL_COMPLETE": "bash_complete", "COMP_WORDS": "funnel task l", "COMP_CWORD": "2"},
        check=False,
    )
    assert [line.split(",")[1] for line in done.stdout.splitlines()] == ["list", "logs"]
