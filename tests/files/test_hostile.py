"""Whatever a container plants, and wherever, nothing outside of its own files is touched."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from scene import CANARY, OUT, Attempt, output

from funnel.core.error import Denied, FunnelError, NotFound
from funnel.safepath import Kind
from funnel.service.publish import place

Plant = Callable[[Attempt, str], None]


def absolute_link(attempt: Attempt, name: str) -> None:
    attempt.link(name, attempt.secret)


def climbing_link(attempt: Attempt, name: str) -> None:
    attempt.link(name, Path("../" * 40) / attempt.secret.relative_to("/"))


def link_over_a_directory(attempt: Attempt, name: str) -> None:
    attempt.link("out/there", attempt.host)
    attempt.link(name, "/out/there/secret")


def link_to_a_directory(attempt: Attempt, name: str) -> None:
    attempt.link(name, attempt.host)


def link_by_proc(attempt: Attempt, name: str) -> None:
    attempt.link(name, f"/proc/self/root{attempt.secret}")


def link_to_an_environment(attempt: Attempt, name: str) -> None:
    attempt.link(name, "/proc/1/environ")


def link_to_private(attempt: Attempt, name: str) -> None:
    private = attempt.root.parent / "private"
    private.mkdir(exist_ok=True)
    (private / "secret").write_text(CANARY)
    attempt.link(name, "../../../private/secret")


def loop(attempt: Attempt, name: str) -> None:
    attempt.link(name, f"/{name}2")
    attempt.link(f"{name}2", f"/{name}")


def long_chain(attempt: Attempt, name: str) -> None:
    attempt.link(name, f"/{name}0")
    for number in range(60):
        attempt.link(f"{name}{number}", f"/{name}{number + 1}")
    attempt.write(f"{name}60", "x")


def long_way(attempt: Attempt, name: str) -> None:
    attempt.link(name, "/out" + "/../out" * 500)


def fifo(attempt: Attempt, name: str) -> None:
    os.mkfifo(attempt.root / name)


def unix_socket(attempt: Attempt, name: str) -> None:
    here = attempt.root / name
    with socket.socket(socket.AF_UNIX) as one:
        directory = os.open(here.parent, os.O_PATH)
        one.bind(f"/proc/self/fd/{directory}/{here.name}")
        os.close(directory)


def device(attempt: Attempt, name: str) -> None:
    attempt.write(name, "")
    attempt.mount(Path("/dev/zero"), f"/{name}")


LINKS = [
    *(absolute_link, climbing_link, link_over_a_directory, link_to_a_directory, link_by_proc),
    *(link_to_an_environment, link_to_private, loop, long_chain),
]
SPECIAL = [fifo, unix_socket, device]


@pytest.fixture(autouse=True)
def untouched(attempt: Attempt) -> object:
    yield
    assert attempt.secret.read_text() == CANARY
    assert sorted(one.name for one in attempt.host.iterdir()) in (["secret"], ["fetched", "secret"])


async def nothing_leaked(attempt: Attempt) -> None:
    stored = await attempt.stored()
    assert not [name for name, content in stored.items() if CANARY in content or "PATH=" in content]
    assert CANARY not in str(attempt.notes)


@pytest.mark.parametrize("plant", [*LINKS, *SPECIAL])
async def test_as_an_output_it_fails_the_task(attempt: Attempt, plant: Plant) -> None:
    plant(attempt, "out/x")
    attempt.write("out/good", "fine")
    outputs = (output("/out/x", "mem://b/x"), output("/out/good", "mem://b/good"))
    with pytest.raises(FunnelError, match="/out/x"):
        await attempt.publish(*outputs)
    assert await attempt.stored() == {"good": "fine"}
    await nothing_leaked(attempt)


@pytest.mark.parametrize("plant", LINKS)
async def test_below_an_output_a_link_out_fails_the_task(attempt: Attempt, plant: Plant) -> None:
    plant(attempt, "out/x")
    with pytest.raises(FunnelError, match="/out"):
        await attempt.publish()
    await nothing_leaked(attempt)


@pytest.mark.parametrize("plant", SPECIAL)
async def test_below_an_output_what_is_no_file_is_left_out(attempt: Attempt, plant: Plant) -> None:
    plant(attempt, "out/x")
    attempt.write("out/good", "fine")
    await attempt.publish()
    assert await attempt.stored() == {"out/good": "fine"}
    ((_, _, fields),) = [one for one in attempt.notes if one[1] == "only files are stored"]
    assert fields["path"] == "/out/x"


@pytest.mark.parametrize("plant", LINKS)
@pytest.mark.parametrize("pattern", ["/out/*", "/out/x*", "/out/*/secret", "/out/?/*"])
async def test_by_a_pattern_nothing_is_reached(
    attempt: Attempt, plant: Plant, pattern: str
) -> None:
    plant(attempt, "out/x")
    with suppress(FunnelError):
        await attempt.publish(output(pattern, "mem://b/x", path_prefix="/out"))
    await nothing_leaked(attempt)


@pytest.mark.parametrize("plant", [*LINKS, *SPECIAL])
def test_as_standard_input_it_is_refused(attempt: Attempt, plant: Plant) -> None:
    plant(attempt, "out/x")
    with pytest.raises((Denied, NotFound)):
        attempt.tree.open_file("/out/x")


@pytest.mark.parametrize("plant", LINKS)
@pytest.mark.parametrize("path", ["/out/x", "/out/x/new", "/out/x/deep/new"])
def test_standard_output_goes_nowhere_else(attempt: Attempt, plant: Plant, path: str) -> None:
    plant(attempt, "out/x")
    captured = attempt.write("../captured", "printed")
    with suppress(FunnelError):
        place([captured], path, attempt.tree)
        with attempt.tree.open_file(path) as file:
            assert file.read() == b"printed"


def test_standard_output_is_not_written_into_an_input(attempt: Attempt) -> None:
    """By a link that stays in the task's own files, but leads to where nobody may write."""
    attempt.mount(attempt.host, "/data")
    attempt.link("out/x", "/data")
    captured = attempt.write("../captured", "printed")
    with pytest.raises(Denied, match="lies in an input"):
        place([captured], "/out/x/log", attempt.tree)


def test_standard_output_replaces_what_was_planted_under_its_name(attempt: Attempt) -> None:
    captured = attempt.write("../captured", "printed")
    fifo(attempt, "out/p")
    attempt.link("out/l", attempt.secret)
    for name in ("/out/p", "/out/l"):
        place([captured], name, attempt.tree)
        assert (attempt.root / name[1:]).read_text() == "printed"
        assert not (attempt.root / name[1:]).is_symlink()


def test_a_way_is_followed_only_so_far(attempt: Attempt) -> None:
    long_way(attempt, "out/a")
    assert attempt.tree.kind("/out/a") is Kind.DIRECTORY
    for number in range(40):
        attempt.link(f"out/l{number}", "/out" + "/../out" * 500 + f"/l{number + 1}")
    with pytest.raises(Denied, match="too many links"):
        attempt.tree.kind("/out/l0")


async def test_links_that_multiply_are_bounded(
    attempt: Attempt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("funnel.service.publish.MOST", 500)
    for level in range(12):
        attempt.made(f"out/{level}")
        for copy in range(10):
            attempt.link(f"out/{level}/{copy}", f"/out/{level + 1}")
    attempt.made("out/12")
    with pytest.raises(Denied, match="more than 500"):
        list(attempt.tree.walk("/out", most=500))
    with pytest.raises(FunnelError, match="more than 500"):
        await attempt.publish()
    with pytest.raises(FunnelError, match="matches more than 500"):
        await attempt.publish(output("/out/*/*/*/*/*/*/*", "mem://b/x", path_prefix="/out"))


async def test_a_link_back_up_is_no_endless_directory(attempt: Attempt) -> None:
    attempt.link("out/sub/up", "..")
    with pytest.raises(FunnelError, match="leads back"):
        await attempt.publish()


@pytest.mark.parametrize("name", [b"new\nline", b"tab\t", "ünï".encode(), b"a'b", b" ", b"-rf"])
async def test_odd_names_are_stored(attempt: Attempt, name: bytes) -> None:
    attempt.write(f"out/{os.fsdecode(name)}", "x")
    (stored,) = await attempt.publish()
    assert stored.path == f"/out/{name.decode()}"


async def test_names_that_are_no_text_are_said_and_the_rest_is_stored(attempt: Attempt) -> None:
    attempt.write(os.fsdecode(b"out/bad\xff"), "x")
    attempt.write("out/good", "fine")
    for one in (OUT, output("/out/*", "mem://b/out", path_prefix="/out")):
        with pytest.raises(FunnelError, match=r"/out/bad\\udcff is not UTF-8"):
            await attempt.publish(one)
    assert await attempt.stored() == {"out/good": "fine"}
    str(attempt.notes).encode()


def test_a_file_in_the_way_is_said_to_be(attempt: Attempt) -> None:
    attempt.write("out/file")
    captured = attempt.write("../captured", "printed")
    with pytest.raises(NotFound, match="there is no /out/file"):
        place([captured], "/out/file/log", attempt.tree)
    attempt.made("out/folder")
    with pytest.raises(Denied, match="/out/folder cannot be used"):
        place([captured], "/out/folder", attempt.tree)
    with pytest.raises(Denied, match="not the path of a file"):
        place([captured], "/", attempt.tree)


def swapping(attempt: Attempt, stop: threading.Event) -> None:
    """A directory and a link to the host's, in turn under one name."""
    here = attempt.root / "out"
    turns = [("x", "real"), ("evil", "x"), ("x", "evil"), ("real", "x")]
    while not stop.is_set():
        for one, other in turns:
            # Who writes may have made a directory where for a moment there was none.
            with suppress(OSError):
                (here / one).rename(here / other)


@pytest.fixture
def swapped(attempt: Attempt) -> object:
    attempt.write("out/x/secret", "harmless")
    attempt.link("out/evil", attempt.host)
    stop = threading.Event()
    thread = threading.Thread(target=swapping, args=(attempt, stop))
    thread.start()
    yield
    stop.set()
    thread.join()


@pytest.mark.usefixtures("swapped")
def test_what_is_swapped_in_between_is_not_followed(attempt: Attempt) -> None:
    tree, seen = attempt.tree, set[str]()
    for _ in range(5_000):
        try:
            with tree.open_file("/out/x/secret") as file:
                seen.add(file.read().decode())
        except (NotFound, Denied):
            seen.add("")
    assert CANARY not in seen
    assert "harmless" in seen


@pytest.mark.usefixtures("swapped")
def test_what_is_swapped_in_between_is_not_written_to(attempt: Attempt) -> None:
    captured = attempt.write("../captured", "printed")
    for _ in range(1_000):
        with suppress(NotFound, Denied):
            place([captured], "/out/x/log", attempt.tree)


@pytest.mark.usefixtures("swapped")
def test_what_is_swapped_in_between_is_not_listed(attempt: Attempt) -> None:
    (attempt.host / "only-here").touch()
    for _ in range(1_000):
        with suppress(NotFound, Denied):
            assert "x/only-here" not in [one.name for one in attempt.tree.walk("/out", most=99)]
    (attempt.host / "only-here").unlink()


LOCKED = """
import sys
from pathlib import Path
from funnel.core.error import Denied
from funnel.safepath import Tree, remove_tree

root = Path(sys.argv[1])
(root / "shut" / "inner").mkdir(parents=True)
(root / "file").touch(mode=0)
(root / "shut" / "inner").chmod(0)
(root / "shut").chmod(0)
tree, said = Tree((), root), []
for look in (lambda: tree.open_file("/file"), lambda: list(tree.walk("/", most=9))):
    try:
        look()
    except Denied as error:
        said.append(str(error))
print(len([one for one in said if "the server may not reach" in one]), remove_tree(root))
"""


def test_what_the_server_may_not_read_is_said_and_can_still_be_removed(attempt: Attempt) -> None:
    """Root is stopped by no mode, so the look is without its powers."""
    powerless = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
    argv = [*powerless, sys.executable, "-c", LOCKED, str(attempt.root / "new")]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("2 True\n", "")
