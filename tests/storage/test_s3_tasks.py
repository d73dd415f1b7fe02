"""Tasks whose files are in S3, in real containers."""

import asyncio
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from msgspec import json
from running import Server as Funnel
from s3_server import entry, generic
from stores import Server

from funnel.testing.build import new_id

pytestmark = [pytest.mark.engine, pytest.mark.timeout(180)]

SCRIPT = "cat $(find in -type f | sort) >out/dir/file; cp out/dir/file out/file; mkdir -p out/none"


@pytest.fixture(scope="module")
def funnel(s3: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Funnel]:
    """One store under two names: without an endpoint, only a bucket that is named is found."""
    home = tmp_path_factory.mktemp("funnel")
    given = {"Key": "tester", "Secret": "testing"}
    stores = [
        {"Endpoint": f"http://{s3.address}", "Buckets": [{"Name": "tests", **given}], **given},
        {"Endpoint": f"http://localhost:{s3.port}", **given},
    ]
    settings = home / "funnel.yaml"
    settings.write_bytes(json.encode({"GenericS3": stores, "AmazonS3": {"Disabled": True}}))
    one = Funnel(home, ("--config", str(settings)))
    one.start()
    yield one
    one.stop()
    one.http.close()


@pytest.fixture
def base(s3: Server) -> str:
    """With `file`, and `dir` with two files and a sibling."""
    found = f"s3://tests/{new_id()}"
    files = {"file": b"hello\n", "dir/1": b"file1 content\n", "dir/a/2": b"file2 content\n"}

    async def put() -> None:
        async with generic(entry(s3)) as storage:
            for name, content in {**files, "dir2/3": b"not this\n"}.items():
                await storage.put(BytesIO(content), f"{found}/{name}")

    asyncio.run(put())
    return found


def stored(s3: Server, url: str, to: Path) -> str:
    async def get() -> None:
        async with generic(entry(s3)) as storage:
            await storage.get(url, to)

    asyncio.run(get())
    return to.read_text()


def run(funnel: Funnel, inputs: list[dict[str, str]], base: str) -> dict[str, Any]:
    outputs = [
        {"path": "/opt/workdir/out/dir", "url": f"{base}/out/dir", "type": "DIRECTORY"},
        {"path": "/opt/workdir/out/none", "url": f"{base}/out/none", "type": "DIRECTORY"},
        {"path": "/opt/workdir/out/file", "url": f"{base}/out/file"},
    ]
    step = {"image": "alpine", "command": ["sh", "-c", SCRIPT], "workdir": "/opt/workdir"}
    task = {"inputs": inputs, "outputs": outputs, "executors": [step]}
    return funnel.wait(funnel.create_task(task))


def said(task: dict[str, Any]) -> str:
    return "\n".join(task["logs"][0].get("system_logs", []))


def named(base: str, *, kind: str) -> list[dict[str, str]]:
    return [
        {"url": f"{base}/file", "path": "/opt/workdir/in/z"},
        {"url": f"{base}/dir", "path": "/opt/workdir/in/dir", "type": kind},
    ]


@pytest.mark.parametrize("kind", ["DIRECTORY", "FILE"])
def test_files_and_directories_come_and_go(
    funnel: Funnel, s3: Server, base: str, tmp_path: Path, kind: str
) -> None:
    """A directory that is called a file is taken for what it is."""
    task = run(funnel, named(base, kind=kind), base)
    assert task["state"] == "COMPLETE", said(task)
    wanted = "file1 content\nfile2 content\nhello\n"
    assert stored(s3, f"{base}/out/dir/file", tmp_path / "a") == wanted
    assert stored(s3, f"{base}/out/file", tmp_path / "b") == wanted
    logged = {(one["url"], one["size_bytes"]) for one in task["logs"][0]["outputs"]}
    assert logged == {(f"{base}/out/{name}", str(len(wanted))) for name in ("file", "dir/file")}
    assert "level='warning'" in said(task)


def test_a_directory_that_is_not_there_is_empty(funnel: Funnel, base: str) -> None:
    inputs = [*named(base, kind="DIRECTORY")]
    inputs.append({"url": f"{base}/no", "path": "/opt/workdir/in/no", "type": "DIRECTORY"})
    task = run(funnel, inputs, base)
    assert task["state"] == "COMPLETE", said(task)
    assert f"{base}/no" in said(task)


def test_a_file_that_is_not_there_ends_the_task(funnel: Funnel, base: str) -> None:
    task = run(funnel, [{"url": f"{base}/no", "path": "/opt/workdir/in/no"}], base)
    assert task["state"] == "SYSTEM_ERROR"
    assert "level='error'" in said(task)
    assert f"{base}/no" in said(task)


def test_an_endpoint_in_the_url_says_which_store(
    funnel: Funnel, s3: Server, base: str, tmp_path: Path
) -> None:
    path = base.removeprefix("s3://")
    one, two = f"s3://{s3.address}/{path}", f"s3://localhost:{s3.port}/{path}"
    inputs = [
        {"url": f"{one}/file", "path": "/opt/workdir/in/1"},
        {"url": f"{two}/file", "path": "/opt/workdir/in/2"},
        {"url": f"{two}/dir", "path": "/opt/workdir/in/dir", "type": "DIRECTORY"},
    ]
    task = run(funnel, inputs, two)
    assert task["state"] == "COMPLETE", said(task)
    wanted = "hello\nhello\nfile1 content\nfile2 content\n"
    assert stored(s3, f"{base}/out/file", tmp_path / "a") == wanted
    assert {one["url"] for one in task["logs"][0]["outputs"]} == {
        f"{two}/out/{name}" for name in ("file", "dir/file")
    }


def test_a_bucket_that_two_stores_may_have_ends_the_task(funnel: Funnel, base: str) -> None:
    task = run(funnel, [{"url": "s3://public/ready", "path": "/opt/workdir/in/1"}], base)
    assert task["state"] == "SYSTEM_ERROR"
    assert "ambiguous" in said(task)


def test_the_secret_is_nowhere_in_a_task(funnel: Funnel, base: str) -> None:
    task = run(funnel, named(base, kind="DIRECTORY"), base)
    assert b"testing" not in json.encode(task)
    assert "testing" not in funnel.log.read_text()


def test_the_command_line_reads_and_sweeps(funnel: Funnel, base: str) -> None:
    settings = ("--config", str(funnel.home / "funnel.yaml"))
    listed = funnel.cli("storage", "list", f"{base}/dir", "--output", "json", *settings)
    assert [one["Name"] for one in json.decode(listed.stdout)] == ["1", "a/2"]
    swept = funnel.cli("storage", "sweep", f"{base}/", *settings)
    assert json.decode(swept.stdout) == {"URL": f"{base}/", "Removed": 0}
