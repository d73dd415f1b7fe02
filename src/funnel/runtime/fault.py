"""What the engine's words mean."""

import re
from typing import Final

from funnel.core.error import CannotStart

# As runc, crun and the engines word it, old and new.
_NOT_THERE: Final = re.compile(
    r"executable file .*not found|exec:? .*no such file or directory", re.IGNORECASE
)
_NOT_POSSIBLE: Final = re.compile(
    r"exec:? .*(permission denied|is a directory|exec format error)"
    r"|not a directory|open executable: permission denied"
    r"|working directory '.*' is invalid|chdir to cwd",
    re.IGNORECASE,
)
_INIT: Final = re.compile(
    r"^(?:\[FATAL tini \(\d+\)\]|\S*catatonit:?(?: \(\d+\))?:?) (.*)", re.MULTILINE
)


def cannot_start(words: str) -> CannotStart | None:
    """The failure, where what the task asks is at fault; None where it is the engine's own."""
    if _NOT_THERE.search(words):
        return CannotStart(f"the command cannot be found: {words}", 127)
    if _NOT_POSSIBLE.search(words):
        return CannotStart(f"the command cannot be run: {words}", 126)
    return None


def init_words(stderr: str) -> str:
    """
    Why the init process in the container could not run the command, "" where it did.

    With an init process the engine never sees that a command is missing.

    >>> init_words("[FATAL tini (7)] exec nosuch failed: No such file or directory")
    'exec nosuch failed: No such file or directory'
    """
    found = _INIT.search(stderr)
    return found[1].strip() if found else ""
