"""Paths that try to lead out, by the thousand."""

from pathlib import Path
from random import Random

CANARY = "canary-b31d94"

STEPS = (
    *("..", "..", "..", ".", "", "a", "b", "out", "...", ".. ", " ..", "..;", "..\\", "..\\.."),
    *("%2e%2e", "..%2f", "%2e%2e%2f", "..%00", "%252e", "\u2024\u2024", "。。"),
    *("\uff0e\uff0e", "\u2215", "\u2044..", "..\u2215..", "\u2025", "\u202e..", "\ufeff.."),
    *("~", "~root", "$HOME", "{a,b}", "*", "?", "[.][.]", "a\n", "\t", "\x00", "a\x00..", "\x7f"),
    *("é" * 120, "a" * 255, "a" * 256, "a" * 4096, "-rf", "'", '"', ","),
    *("proc", "self", "root", "cwd", "fd", "1", "dev", "etc", "passwd", "shadow", "tmp", "usr"),
)
BEGINNINGS = ("/", "/", "/", "/", "//", "", "./", "../", "/./", "/../", "file://", "file:///", "~/")
ENDINGS = ("", "", "", "/", "/.", "/..", "//", "/../..", "\n", " ", "%00")


def path(chance: Random, *real: Path) -> str:
    """
    A path as it may stand in a task; half of them go for one of the `real` paths of the host.

    By as many `..` as it takes, and in the forms that a careless check lets through.
    """
    steps = chance.choices(STEPS, k=chance.randint(0, 5))
    if chance.random() < 0.5:
        goal = str(chance.choice(real)).lstrip("/")
        climb = ["out"] * chance.randint(0, 2) + [".."] * chance.randint(0, 12)
        steps = [*climb, *steps[: chance.randint(0, 1)], goal, *steps[: chance.randint(0, 1)]]
    return chance.choice(BEGINNINGS) + "/".join(steps) + chance.choice(ENDINGS)


def snapshot(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """All that is below, with what would show a change."""
    return {
        str(one): (
            one.lstat().st_mode,
            one.lstat().st_mtime_ns,
            one.read_bytes() if one.is_file() and not one.is_symlink() else b"",
        )
        for one in [folder, *folder.rglob("*")]
    }


def names(folder: Path) -> set[str]:
    return {one.name for one in folder.iterdir()}
