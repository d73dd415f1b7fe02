"""Saying who is asking."""

import logging
from base64 import b64encode

from funnel.client.address import Address

log = logging.getLogger(__name__)


def authorization(server: Address) -> str:
    """What to send as `Authorization`; nothing where nobody is named."""
    if not (server.token or server.user):
        return ""
    if not (server.local or server.private):
        log.warning("whoever listens can read the credentials for %s: use https", server.shown)
    if server.token:
        return f"Bearer {server.token.reveal()}"
    named = f"{server.user}:{server.password.reveal()}".encode()
    return f"Basic {b64encode(named).decode()}"
