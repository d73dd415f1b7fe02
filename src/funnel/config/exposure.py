"""Whether a server may be reached as its settings have it: refused is what nobody wants unsaid."""

from collections.abc import Sequence
from ipaddress import ip_address

from funnel.config.sections import Server
from funnel.core.error import Invalid


def refuse_exposed(server: Server, addresses: Sequence[str], *, has_accounts: bool) -> None:
    """
    `addresses` are those that the server listens at.

    Raises `Invalid` where others than this machine reach it and there are neither accounts nor
    the word that none are wanted, or where passwords would come in plain text.
    """
    reached = ", ".join(one for one in addresses if not ip_address(one).is_loopback)
    if not reached:
        return
    if not has_accounts and not server.open_access:
        raise Invalid(
            f"everybody who reaches {reached} could run containers here and read all tasks, since"
            " there are no accounts: make some (Server.BasicAuth, Server.OidcAuth), listen at"
            " localhost, or say with Server.OpenAccess that this is wanted"
        )
    if has_accounts and not (server.tls.cert_file or server.plain_text):
        raise Invalid(
            f"passwords would come to {reached} in plain text: name a certificate with"
            " Server.TLS.CertFile, listen at localhost, or say with Server.PlainText that a proxy"
            " in front of it speaks TLS"
        )
