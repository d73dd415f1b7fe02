"""Connections that nobody else can read, and the settings to look at where there can be none."""

import ssl
from collections.abc import Callable

from funnel.core.error import Unavailable


def encryption(name: str, ca_file: str, *, wanted: bool, how: str) -> ssl.SSLContext | None:
    """
    How to know the other side: by a certificate for its name, from who is in a file.

    Without a file, from who is trusted on this machine. None where it is not wanted; `how` says
    how that is set. Raises `Unavailable`, which names the setting, for a file that is of no use.
    """
    if not wanted:
        if ca_file:
            raise Unavailable(f"{name}.CAFile is set, but the connection is not encrypted: {how}")
        return None
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        words = "no certificates in PEM" if isinstance(error, ssl.SSLError) else error.strerror
        raise Unavailable(f"{name}.CAFile: cannot use {ca_file}: {words}") from error


def explaining(
    name: str, address: str, refused: Callable[[Exception], bool]
) -> Callable[[Exception], str]:
    """
    What an error says, with the settings to look at.

    `address` is the setting that says where the other side is, `refused` whether an error says
    that it did not take the login.
    """

    def explain(error: Exception) -> str:
        if refused(error):
            return f"the login was refused, see {name}.User and {name}.Password: {error}"
        if why := _distrust(error):
            return (
                f"{why}: the certificate must be for the name in {name}.{address}, and come from"
                f" who is in {name}.CAFile"
            )
        return repr(error)

    return explain


def _distrust(error: BaseException | None) -> str:
    """What is wrong with the other side's certificate; empty where an error is not about that."""
    while error:
        if isinstance(error, ssl.SSLCertVerificationError):
            return error.verify_message
        error = error.__cause__ or error.__context__
    return ""
