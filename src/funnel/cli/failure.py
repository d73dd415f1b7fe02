"""What went wrong, in a line."""

from funnel.core.error import FunnelError


def told(error: FunnelError | OSError) -> str:
    """
    For who has called a command.

    >>> told(FileNotFoundError(2, "No such file or directory", "/nosuch"))
    'cannot use /nosuch: No such file or directory'
    """
    if isinstance(error, FunnelError):
        return str(error)
    words = error.strerror or str(error) or type(error).__name__
    return f"cannot use {error.filename}: {words}" if error.filename else words
