"""Every failure a caller may see."""

from funnel.core.value import Value


class Problem(Value):
    """One thing that is wrong with a request; `field` is its path, as in `executors[0].image`."""

    field: str
    message: str


class FunnelError(Exception):
    """
    Something went wrong.

    What a client raises for the answer of a server has the HTTP `status` of that answer (0 over
    gRPC), the `code` by which the server names it, as in NOT_FOUND, and in `retry_after` the
    seconds after which the server says to try again. Elsewhere they are empty.
    """

    status: int = 0
    code: str = ""
    retry_after: float = 0.0

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__)


class Invalid(FunnelError):
    """The request does not describe a task we can run."""

    def __init__(self, message: str | None = None, problems: tuple[Problem, ...] = ()) -> None:
        super().__init__(message)
        self.problems = problems


class TooLarge(Invalid):
    """The request is larger than we take."""


class Unauthenticated(FunnelError):
    """Who is asking is not known: credentials are missing or wrong."""


class Denied(FunnelError):
    """The caller may not do this."""


class NotFound(FunnelError):
    """No such task or object."""


class Conflict(FunnelError):
    """This idempotency key was used for another task."""


class Exists(Conflict):
    """There is something of this name already, and nothing is replaced."""


class InvalidTransition(FunnelError):
    """A task cannot move between these states."""


class Fenced(FunnelError):
    """Another attempt has taken over; stop and discard this one."""


class Gap(FunnelError):
    """Events before these are missing; send them first."""


class Busy(FunnelError):
    """Too much is waiting; try again later."""


class NoSpace(FunnelError):
    """The disk is full; free some space and try again."""


class Unavailable(FunnelError):
    """Something that we depend on does not answer; try again later."""


class CannotStart(FunnelError):
    """
    The container cannot start because of what the task asks.

    `exit_code` is 126 for a command that cannot be run and 127 for one that is not there, as a
    shell has them.
    """

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code
