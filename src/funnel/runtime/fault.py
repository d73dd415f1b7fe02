"""What the engine's words mean."""

import re
from typing import Final

from funnel.core.error import CannotStart, Denied, FunnelError, Invalid, NotFound, Unavailable
from funnel.runtime.engine import Refusal

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
# A name server that is away says something else than that there is no such host.
_NO_IMAGE: Final = re.compile(
    r"manifest unknown|name unknown|not found|does not exist|denied|unauthorized"
    r"|no matching manifest|invalid reference|no such host",
    re.IGNORECASE,
)
_INIT: Final = re.compile(
    r"^(?:\[FATAL tini \(\d+\)\]|ERROR \(catatonit:\d+\):) (.*exec .*)$", re.MULTILINE
)
_INIT_CODES: Final = frozenset({1, 126, 127})


def cannot_start(words: str) -> CannotStart | None:
    """The failure, where what the task asks is at fault; None where it is the engine's own."""
    if _NOT_THERE.search(words):
        return CannotStart(f"the command cannot be found: {words}", 127)
    if _NOT_POSSIBLE.search(words):
        return CannotStart(f"the command cannot be run: {words}", 126)
    return None


def cannot_pull(words: str) -> NotFound | Unavailable:
    """
    The failure of a pull: that of the image, or that of the moment.

    >>> cannot_pull("manifest for alpine:0 not found"), cannot_pull("connection refused")
    (NotFound('manifest for alpine:0 not found'), Unavailable('connection refused'))
    """
    return NotFound(words) if _NO_IMAGE.search(words) else Unavailable(words)


def refused(refusal: Refusal) -> FunnelError:
    """The same as what it means, where the request is at fault and will be another time too."""
    kind = {400: Invalid, 403: Denied}.get(refusal.status)
    return kind(f"the container engine refuses: {refusal}") if kind else refusal


def may_be_of_init(code: int) -> bool:
    """
    Whether the exit code may be that of the init process, not the command's.

    With an init process the engine never sees that a command is missing. Docker's ends with 126
    or 127, that of Podman with 1; both say why.
    """
    return code in _INIT_CODES


def of_init(code: int, stderr: str) -> tuple[int, str]:
    """
    The exit code, and why the init process could not run the command, "" where it did.

    >>> of_init(1, "ERROR (catatonit:6): failed to exec pid1: No such file or directory")
    (127, 'failed to exec pid1: No such file or directory')
    >>> of_init(1, "no such luck")
    (1, '')
    """
    if (found := _INIT.search(stderr)) is None:
        return code, ""
    words = found[1].strip()
    return 127 if "No such file" in words else 126, words
