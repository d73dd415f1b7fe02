"""Where in a container something of the task may be, and where it would hide the image's own."""

from typing import Final

from funnel.core.path import Parts

KERNEL: Final = (("dev",), ("proc",), ("sys",))
"""Where nothing is ever mounted."""

TMP: Final = ("tmp",)
"""Always a directory of the task's own."""

SHARED_MEMORY: Final = ("dev", "shm")

SYSTEM: Final = (
    *(("bin",), ("boot",), ("etc",), ("lib",), ("lib32",), ("lib64",), ("libx32",)),
    *(("run",), ("sbin",), ("usr",)),
)
"""Where files are the image's own, at any depth."""

SEALED: Final = frozenset(
    [
        *((), ("var",), *KERNEL, *SYSTEM),
        *(("usr", part) for part in ["bin", "lib", "lib32", "lib64", "libx32", "sbin"]),
    ]
)
"""Never covered by a directory of ours: the image would not work any more."""

CROWDED: Final = SEALED | {
    *((part,) for part in ["home", "opt", "root"]),
    *(("var", part) for part in ["cache", "lib", "log", "run", "spool"]),
}
"""Covered only where the task names the directory itself, not as the parent of a file."""


def is_of_kernel(path: Parts) -> bool:
    """
    Whether the path is or lies in a file system that the kernel makes.

    >>> is_of_kernel(("proc", "self"))
    True
    """
    return path[:1] in KERNEL


def is_of_image(folder: Parts) -> bool:
    """
    Whether files of the task are mounted one by one there.

    >>> is_of_image(("etc", "ssl")), is_of_image(("data",))
    (True, False)
    """
    return folder in CROWDED or folder[:1] in SYSTEM


def is_free(path: Parts) -> bool:
    """
    Whether a file or directory may be mounted there.

    >>> is_free(("etc", "hosts")), is_free(("etc",)), is_free(("proc", "1", "environ"))
    (True, False, False)
    """
    return path not in SEALED and not is_of_kernel(path)


def is_workable(folder: Parts) -> bool:
    """
    Whether a command may work there: in the files of no process, by which it would be outside.

    >>> is_workable(("proc", "self", "fd", "8")), is_workable(()), is_workable(("dev", "shm"))
    (False, True, True)
    """
    return not is_of_kernel(folder) or folder[:2] == SHARED_MEMORY
