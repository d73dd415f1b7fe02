"""What an attacker would put into a task, and how much of it is tried."""

import os
import re
from random import Random

EFFORT = int(os.environ.get("FUNNEL_PROOF", "1"))
"""How many times as long as usual the proofs take."""

WORDS = (
    *("--privileged", "-v/:/host", "--volume=/:/host:rw", "-", "--", "--network=host", "-u0"),
    *("A=1 --privileged", '/" --privileged --volume "/:/host', "'; touch /pwned; '", "a:b:rw"),
    *("$(touch /pwned)", "`touch /pwned`", "${HOME}", "$IFS", "; touch /pwned", "| tee /pwned"),
    *("&& reboot", "\n--privileged", "\r\nX: y", "a\tb", "a b", "{{.Image}}", "{{ 7*7 }}", "%n%s"),
    *('"}, "HostConfig": {"Privileged": true}, "x": {"y": "', "\\", "\\u0000", '"', "'", "a,b=c"),
    *("type=bind,source=/,target=/host", "é", "☃", "\u202egnp", "\ud7ff", "*", "?", "[a]", "~"),
    *("..", "../../etc/passwd", "/etc/passwd", "//etc", "/./etc/.", "/proc/self/root", "C:\\x"),
    *("\0", "a\0b", "\x1b]0;x\x07", "\x7f", "x" * 300, "", "null", "true", "0", "[]", "{}"),
)
IMAGES = (
    *("alpine", "alpine:3.20", "quay.io/biocontainers/bwa:0.7.17--h7132678_9", "localhost:5000/a"),
    *("[::1]:5000/a/b", "A.example.org/x", "a__b/c--d:T_1.x-", "alpine@sha256:" + "0" * 64),
)
NAMES = ("PATH", "LD_PRELOAD", "A", "a.b-c", "DOCKER_HOST", "é", "_", "1")


PATH_WORDS = tuple(one for one in WORDS if not re.search(r"[\0-\x1f\x7f*?[]|\.\.", one))
"""Those that a path may well have."""


def word(chance: Random) -> str:
    """One hostile text, sometimes two of them together."""
    return "".join(chance.choices(WORDS, k=chance.choice((1, 1, 1, 2))))


def image(chance: Random) -> str:
    """Most of them are names of images; the rest look like options and other things."""
    if chance.random() < 0.8:
        return chance.choice(IMAGES)
    return chance.choice(("", "-", "--privileged ", " ")) + chance.choice((*IMAGES, *WORDS))


def variable(chance: Random) -> str:
    return chance.choice(NAMES) if chance.random() < 0.9 else word(chance)


def in_path(chance: Random) -> str:
    """A part of a path, or several; one in twenty is none that a path may have."""
    return chance.choice(WORDS if chance.random() < 0.05 else PATH_WORDS)


def folder(chance: Random, number: int) -> str:
    """A directory of its own at the root, whose name would say other things elsewhere."""
    return f"/{number}{in_path(chance)}"
