from pathlib import Path

import pytest
from scene import OUT, STEP, Attempt, output

from funnel.core.error import Denied, FunnelError
from funnel.core.event import Level
from funnel.core.task import FileType, Input, OutputFileLog, Spec

DIRECTORY = FileType.DIRECTORY


async def test_outputs_are_logged_in_order_with_their_real_sizes(attempt: Attempt) -> None:
    for name, content in {"out/b": "22", "out/a/z": "1", "out/a.txt": "", "res": "4444"}.items():
        attempt.write(name, content)
    logs = await attempt.publish(output("/res", "mem://b/r"), OUT)
    assert logs == (
        OutputFileLog(url="mem://b/r", path="/res", size_bytes="4"),
        OutputFileLog(url="mem://b/out/a/z", path="/out/a/z", size_bytes="1"),
        OutputFileLog(url="mem://b/out/a.txt", path="/out/a.txt", size_bytes="0"),
        OutputFileLog(url="mem://b/out/b", path="/out/b", size_bytes="2"),
    )
    assert attempt.said(Level.INFO).count("upload finished") == 4


async def test_a_file_that_is_a_directory_is_stored_with_all_below_it(attempt: Attempt) -> None:
    attempt.write("out/deep/er/x", "1")
    await attempt.publish(output("/out", "mem://b/o/"))
    assert await attempt.stored() == {"o/deep/er/x": "1"}


async def test_a_directory_that_is_a_file_is_said_to_be(attempt: Attempt) -> None:
    attempt.write("out/x")
    with pytest.raises(FunnelError, match="/out/x shall be a directory, but is a file"):
        await attempt.publish(output("/out/x", "mem://b/x", type=DIRECTORY))


async def test_overlapping_outputs_are_both_stored(attempt: Attempt) -> None:
    attempt.write("out/md5", "sum")
    logs = await attempt.publish(output("/out/md5", "mem://b/md5"), OUT)
    assert [one.url for one in logs] == ["mem://b/md5", "mem://b/out/md5"]


async def test_what_is_missing_is_a_warning(attempt: Attempt) -> None:
    attempt.write("out/x", "1")
    missing = [output("/out/none", "mem://b/n"), output("/out/*.no", "mem://b/n", path_prefix="/")]
    assert len(await attempt.publish(*missing, output("/out/x", "mem://b/x"))) == 1
    assert attempt.said(Level.WARNING) == ["output does not exist", "no file matches the output"]


async def test_a_file_that_is_only_held_a_place_for_is_missing(attempt: Attempt) -> None:
    outputs = (output("/made", "mem://b/made"), output("/etc/not", "mem://b/not"))
    await attempt.stage(Spec(executors=(STEP,), outputs=outputs))
    (attempt.root / "made").write_bytes(b"")
    await attempt.publish(*outputs)
    assert await attempt.stored() == {"made": ""}
    assert attempt.said(Level.WARNING) == ["output does not exist"]


async def test_what_is_missing_is_an_error_where_that_is_asked_for(attempt: Attempt) -> None:
    attempt.write("out/x", "1")
    outputs = (output("/out/none", "mem://b/n"), output("/out/x", "mem://b/x"))
    with pytest.raises(FunnelError, match="output does not exist: /out/none"):
        await attempt.publish(*outputs, strict=True)
    assert await attempt.stored() == {"x": "1"}


async def test_after_a_failure_what_is_there_is_stored_and_nothing_raised(
    attempt: Attempt,
) -> None:
    attempt.write("out/x", "1")
    attempt.link("out/evil", attempt.secret)
    outputs = (
        output("/out/none", "mem://b/n"),
        output("/out/evil", "mem://b/e"),
        output("/out/x", "mem://c/x"),
        output("/out/x", "mem://b/x"),
    )
    logs = await attempt.publish(*outputs, ok=False, strict=True)
    assert [one.url for one in logs] == ["mem://c/x", "mem://b/x"]
    assert attempt.said(Level.WARNING) == []
    assert attempt.said(Level.ERROR) == ["output cannot be stored"]


async def test_an_empty_directory_is_a_warning(attempt: Attempt) -> None:
    attempt.made("out/empty")
    assert await attempt.publish() == ()
    assert attempt.said(Level.WARNING) == ["upload source directory is empty"]


@pytest.mark.parametrize(
    ("path", "prefix", "stored"),
    [
        ("/out/*.txt", "/out", {"a.txt"}),
        ("/out/*.txt", "/out/", {"a.txt"}),
        ("/out/*", "/", {"out/a.txt", "out/b", "out/sub/c.txt", "out/sub/x/d"}),
        ("/out/*/c.*", "/out", {"sub/c.txt"}),
        ("/out/s*", "/out", {"sub/c.txt", "sub/x/d"}),
        ("/out/[ab]*", "/out", {"a.txt", "b"}),
        ("/out/?", "/out", {"b"}),
        ("/out/*/*/d", "/out/sub", {"x/d"}),
        ("/out/a*", "/out/a", {".txt"}),
        ("/out/*.txt", "", {"out/a.txt"}),
        ("/out/.*", "/out", {".hidden"}),
        ("/*/b", "/out", {"b"}),
    ],
)
async def test_patterns(attempt: Attempt, path: str, prefix: str, stored: set[str]) -> None:
    for name in ("a.txt", "b", "sub/c.txt", "sub/x/d", ".hidden"):
        attempt.write(f"out/{name}", name)
    await attempt.publish(output(path, "mem://b", path_prefix=prefix))
    assert set(await attempt.stored()) == stored


async def test_a_name_that_looks_like_a_pattern_is_a_name(attempt: Attempt) -> None:
    attempt.write("out/[a]", "name")
    attempt.write("out/a", "match")
    await attempt.publish(output("/out/[a]", "mem://b/x"))
    assert await attempt.stored() == {"x": "name"}
    await attempt.publish(output("/out/[a]", "mem://b/y", path_prefix="/out"))
    assert await attempt.stored() == {"x": "name", "y/a": "match"}


async def test_links_to_paths_of_the_container_are_followed(attempt: Attempt) -> None:
    attempt.write("out/real/file", "foo")
    attempt.write("vol/x", "bar")
    attempt.mount(attempt.root / "vol", "/vol", writable=True)
    attempt.link("out/abs", "/out/real/file")
    attempt.link("out/rel", "real/../real/file")
    attempt.link("out/folder", "/vol")
    attempt.link("out/deep", "folder/x")
    await attempt.publish()
    assert await attempt.stored() == {
        "out/real/file": "foo",
        "out/abs": "foo",
        "out/rel": "foo",
        "out/folder/x": "bar",
        "out/deep": "bar",
    }


async def test_parent_of_a_link_is_that_of_where_it_leads(attempt: Attempt) -> None:
    """As the kernel has it, and not as the text reads."""
    attempt.write("out/a/b/file", "inner")
    attempt.write("out/a/right", "right")
    attempt.write("out/right", "wrong")
    attempt.link("out/link", "a/b")
    attempt.link("out/up", "link/../right")
    await attempt.publish(output("/out/up", "mem://b/x"))
    assert await attempt.stored() == {"x": "right"}


async def test_an_input_below_an_output_is_stored_with_its_real_content(attempt: Attempt) -> None:
    source = attempt.host / "data"
    source.mkdir()
    (source / "in.txt").write_text("real")
    inputs = (
        Input(path="/out/in.txt", url=f"{source}/in.txt"),
        Input(path="/out/sub", url=str(source), type=DIRECTORY),
    )
    spec = Spec(executors=(STEP,), inputs=inputs, outputs=(OUT,))
    await attempt.stage(spec, {0: f"{source}/in.txt", 1: str(source)})
    attempt.write("out/in.txt", "")
    attempt.made("out/sub")
    await attempt.publish()
    assert await attempt.stored() == {"out/in.txt": "real", "out/sub/in.txt": "real"}
    (source / "in.txt").unlink()
    source.rmdir()


async def test_a_store_that_refuses_fails_the_task(attempt: Attempt) -> None:
    attempt.write("out/x", "1")
    with pytest.raises(FunnelError):
        await attempt.publish(output("/out/x", "mem://"))
    assert attempt.said(Level.ERROR) == ["upload failed"]


async def test_too_many_files_are_refused(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("funnel.service.publish.MOST", 3)
    for name in "abc":
        attempt.write(f"out/{name}", name)
    outputs = (output("/out/a", "mem://b/1"), output("/out/*", "mem://b", path_prefix="/out"))
    with pytest.raises(FunnelError, match="has too many files"):
        await attempt.publish(*outputs)
    assert await attempt.stored() == {"1": "a", "a": "a", "b": "b"}


async def test_secrets_in_urls_are_not_said(attempt: Attempt) -> None:
    await attempt.publish(output("/out/none", "ftp://me:hidden@host/x"))
    assert "hidden" not in str(attempt.notes)


def test_a_mount_whose_source_is_gone_holds_nothing(attempt: Attempt, tmp_path: Path) -> None:
    attempt.mount(tmp_path / "nowhere", "/gone")
    assert attempt.tree.kind("/gone/x") is None
    attempt.link("out/x", "/gone/x")
    with pytest.raises(Denied, match="leads out"):
        attempt.tree.kind("/out/x")


async def test_after_a_failure_one_store_that_refuses_does_not_stop_the_rest(
    attempt: Attempt,
) -> None:
    attempt.write("out/x", "1")
    outputs = (output("/out/x", "mem://"), output("/out/x", "mem://b/x"))
    assert len(await attempt.publish(*outputs, ok=False)) == 1
    assert attempt.said(Level.ERROR) == ["upload failed"]


def test_a_name_that_no_file_can_have_is_missing(attempt: Attempt) -> None:
    assert attempt.tree.kind("/out/" + "n" * 300) is None


def test_a_directory_with_too_many_names_is_refused(attempt: Attempt) -> None:
    for name in "abc":
        attempt.write(f"out/{name}")
    assert attempt.tree.names("/out", most=3) == ["a", "b", "c"]
    with pytest.raises(Denied, match="/out has more than 2"):
        attempt.tree.names("/out", most=2)
