"""What `from funnel import …` has, at what price, and with which types."""

import subprocess
import sys
from pathlib import Path

import pytest

import funnel

HEAVY = ("aiohttp", "asyncio", "grpc", "msgspec", "ssl")

WRONG_NAME = "Clint"

ROOT = Path(__file__).parents[2]

RIGHT = """
from collections.abc import AsyncGenerator, Generator
from funnel import AsyncClient, Client, NotFound, Spec, State, Task, View, task

def story(client: Client) -> str | None:
    spec: Spec = task("true", inputs={"a": "a.txt"}, tags={"k": "v"})
    made: str = client.create(spec, key="once")
    tasks: Generator[Task] = client.list(state=State.QUEUED, tags={"k": "v"}, view=View.FULL)
    texts: list[str] = [text for text in client.logs(made, follow=True)]
    try:
        done: Task = client.wait(made, timeout=1.5)
    except NotFound as error:
        return f"{error.status} {error.code}"
    return done.logs[-1].logs[-1].stdout

async def other_story(client: AsyncClient) -> Task:
    tasks: AsyncGenerator[Task] = client.list()
    async for task in client.list():
        await client.cancel(task.id)
    return await client.run({"executors": []})
"""

WRONG = """
import funnel
from funnel import Client

def story(client: Client) -> None:
    client.get(3)
    client.wait("t", timout=1)
    client.create("a")
    client.wiat("t")
    funnel.task("true", nmae="x")
    funnel.Clint
"""


def test_the_package_loads_nothing_until_it_is_asked() -> None:
    script = (
        "import sys, funnel;"
        f"print([name for name in {HEAVY} if name in sys.modules]);"
        "from funnel import Task, task, NotFound;"
        f"print('aiohttp' in sys.modules, 'grpc' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["[]", "False False"]


def test_all_names_are_there_and_no_other() -> None:
    for name in funnel.__all__:
        assert getattr(funnel, name).__name__ == name
    assert len(funnel.__all__) <= 20
    with pytest.raises(AttributeError, match=f"module 'funnel' has no attribute '{WRONG_NAME}'"):
        getattr(funnel, WRONG_NAME)


@pytest.mark.timeout(180)
def test_a_program_is_checked_by_its_types(tmp_path: Path) -> None:
    assert checked(tmp_path, RIGHT) == []
    wrong = checked(tmp_path, WRONG)
    lines = {line.split(":")[1] for line in wrong}
    assert lines == {str(number) for number in range(6, 12)}, wrong


def checked(folder: Path, text: str) -> list[str]:
    """What mypy finds wrong in a program of a user, who has this package installed."""
    program = folder / "program.py"
    program.write_text(text)
    options = ("--config-file=", f"--cache-dir={ROOT / '.mypy_cache'}")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", *options, str(program)],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    return [line for line in done.stdout.splitlines() if ": error:" in line]
