"""Which server to talk to and as whom, from what is said and from the environment."""

import os
from typing import Final

from msgspec.structs import replace

from funnel.client.address import DEFAULT, Address, address
from funnel.core.error import Invalid
from funnel.core.secret import Secret

SERVER: Final = "FUNNEL_SERVER"


def chosen(server: str, *, user: str, password: str, token: str, ca_file: str) -> Address:
    """
    A server with credentials: those that are said, else those in the URL, else the environment's.

    Raises `Invalid` where both a user and a token are said.
    """
    named = address(server or os.environ.get(SERVER) or DEFAULT)
    named = replace(named, ca_file=ca_file or _said("ca_file"))
    if user or password or token:
        return _as(named, user, password, token)
    if named.user:
        return named
    return _as(named, _said("user"), _said("password"), _said("token"))


def variable(of: str) -> str:
    """
    The name of what the environment may say about the server.

    >>> variable("user")
    'FUNNEL_SERVER_USER'
    """
    return f"{SERVER}_{of.upper()}"


def _said(of: str) -> str:
    return os.environ.get(variable(of), "")


def _as(named: Address, user: str, password: str, token: str) -> Address:
    if user and token:
        raise Invalid("both a user and a token say who is asking: give one of them")
    return replace(named, user=user, password=Secret(password), token=Secret(token))
