from pathlib import Path

import pytest

from funnel import Executor, Input, Output, Resources, Spec, task
from funnel.core.task import FileType
from funnel.core.validate import check


def test_files_have_names_under_which_the_command_finds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = task(
        'sort "$animals" "$more"/* >"$sorted"',
        image="debian",
        inputs={"animals": Path("animals.txt"), "more": "s3://zoo/more/"},
        outputs={"sorted": "/data/sorted.txt", "all": "out/"},
        env={"LC_ALL": "C"},
    )
    here = str(tmp_path).lstrip("/")
    paths = {
        "animals": f"/inputs/{here}/animals.txt",
        "more": "/inputs/zoo/more/",
        "sorted": "/outputs/data/sorted.txt",
        "all": f"/outputs/{here}/out",
    }
    command = ("sh", "-c", 'sort "$animals" "$more"/* >"$sorted"')
    assert made == Spec(
        executors=(Executor(image="debian", command=command, env={**paths, "LC_ALL": "C"}),),
        inputs=(
            Input(name="animals", path=paths["animals"], url=f"file:///{here}/animals.txt"),
            Input(name="more", path=paths["more"], url="s3://zoo/more/", type=FileType.DIRECTORY),
        ),
        outputs=(
            Output(name="sorted", path=paths["sorted"], url="file:///data/sorted.txt"),
            Output(
                name="all", path=paths["all"], url=f"file:///{here}/out", type=FileType.DIRECTORY
            ),
        ),
    )
    check(made)


def test_the_words_of_a_command_are_taken_as_they_are() -> None:
    made = task(["echo", "$HOME", "a b"], name="x", resources=Resources(cpu_cores=2))
    assert made.executors[0].command == ("echo", "$HOME", "a b")
    assert (made.name, made.resources.cpu_cores) == ("x", 2)
