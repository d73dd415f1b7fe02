import pytest
from calling import Call

from funnel.cli.examples import content, names
from funnel.cli.specs import read_specs

KINDS = {
    *("hello-world", "capture-stdout-stderr", "command-construction", "error", "full-hello"),
    *("input-content", "log-streaming", "md5sum", "multiple-executors", "resource-request"),
    *("multiple-inputs-outputs", "s3", "google-storage", "nextflow"),
}


def test_there_is_an_example_of_each_kind(call: Call) -> None:
    assert set(names()) >= KINDS
    assert call("examples").lines == call("examples", "list").lines == sorted(names())


@pytest.mark.parametrize("name", names())
def test_every_example_is_a_valid_task_with_a_description(call: Call, name: str) -> None:
    (spec,) = read_specs(call("examples", name).out.encode(), where=name)
    assert spec.name
    assert spec.description


def test_outputs_go_below_the_current_directory(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path_factory.mktemp('a "quoted" directory')
    monkeypatch.chdir(odd)
    (spec,) = read_specs(content("md5sum").encode(), where="md5sum")
    assert spec.outputs[0].url.startswith(f"file://{odd}/")
