"""What is wrong with the settings of accounts, and what is not wise."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib import import_module
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from funnel.auth.settings import BasicCredential, OidcAuth, ProxyAuth
from funnel.config.sections import Server
from funnel.core.access import TaskAccess
from funnel.core.error import Problem

ALGORITHMS: Final = frozenset(
    f"{family}{size}" for family in ("RS", "PS", "ES") for size in ("256", "384", "512")
) | {"EdDSA"}
OTHER_HASH: Final = re.compile(r"\$(2[abxy]?|1|5|6|y|argon2[id]|scrypt|pbkdf2[^$]*)\$")
HEADER: Final = re.compile(r"[A-Za-z0-9-]+")


def problems(server: Server) -> Iterator[Problem]:
    yield from _users(server.basic_auth)
    yield from _oidc(server.oidc_auth)
    yield from _proxies(server.proxy_auth)


def warnings(server: Server) -> Iterator[str]:
    has_accounts = server.basic_auth or server.oidc_auth.service_config_url
    if server.task_access is not TaskAccess.ALL and not (
        has_accounts or server.proxy_auth.trusted_proxies
    ):
        yield (
            f"Server.TaskAccess is {server.task_access}, but there are no accounts: everybody is"
            " the same user"
        )


def _users(users: Sequence[BasicCredential]) -> Iterator[Problem]:
    for number, one in enumerate(users):
        setting = f"Server.BasicAuth[{number}]"
        if not one.user:
            yield Problem(f"{setting}.User", "is empty")
        if ":" in one.user or not one.user.isprintable():
            yield Problem(f"{setting}.User", "has a colon or a control character: no login has")
        if what := _password(one.password.reveal()):
            yield Problem(f"{setting}.Password", what)
    for user, times in Counter(one.user for one in users).items():
        if user and times > 1:
            yield Problem("Server.BasicAuth", f"has {times} users named {user!r}")


def _password(text: str) -> str:
    if not text:
        return "is empty: put there what `funnel user hash` makes of one"
    if OTHER_HASH.match(text):
        return "is a hash of another kind: make one with `funnel user hash`"
    if not text.startswith("$argon2id$"):
        return ""
    # What knows hashes takes long to load.
    what: str = import_module("funnel.auth.passwords").problem_of(text)
    return what


def _oidc(oidc: OidcAuth) -> Iterator[Problem]:
    section = "Server.OidcAuth"
    if not oidc.service_config_url:
        others = ("client_id", "redirect_url", "require_scope", "require_audience", "admins")
        if any(getattr(oidc, name) for name in others):
            yield Problem(f"{section}.ServiceConfigURL", "is missing: nobody could be known by it")
        return
    yield from _url(f"{section}.ServiceConfigURL", oidc.service_config_url, allow=oidc.allow_http)
    if not oidc.client_id:
        yield Problem(f"{section}.ClientId", "is missing: the provider has it")
    if oidc.redirect_url:
        yield from _login(section, oidc)
    if oidc.admin_claim and not all(oidc.admin_claim.partition("=")):
        yield Problem(f"{section}.AdminClaim", "is not CLAIM=VALUE, as in groups=admins")
    yield from _algorithms(section, oidc)


def _login(section: str, oidc: OidcAuth) -> Iterator[Problem]:
    yield from _url(f"{section}.RedirectURL", oidc.redirect_url, allow=True)
    if not oidc.redirect_url.endswith("/login"):
        yield Problem(f"{section}.RedirectURL", "must end with /login, where browsers log in")
    if not oidc.client_secret:
        yield Problem(f"{section}.ClientSecret", "is missing: browsers cannot log in without")


def _algorithms(section: str, oidc: OidcAuth) -> Iterator[Problem]:
    if unknown := [one for one in oidc.algorithms if one not in ALGORITHMS]:
        known = ", ".join(sorted(ALGORITHMS))
        yield Problem(f"{section}.Algorithms", f"has {unknown[0]!r}; safe ones are {known}")
    if not oidc.algorithms:
        yield Problem(f"{section}.Algorithms", "is empty: no token could be right")


def _url(setting: str, text: str, *, allow: bool) -> Iterator[Problem]:
    try:
        url = urlsplit(text)
        scheme, host = url.scheme, url.hostname
    except ValueError:
        scheme, host = "", None
    if scheme not in {"http", "https"} or not host:
        yield Problem(setting, f"is {text!r}, which is no http or https URL")
    elif scheme == "http" and not (allow or _is_here(host)):
        yield Problem(setting, "has no TLS: take https, or say with AllowHTTP that this is wanted")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _proxies(proxy: ProxyAuth) -> Iterator[Problem]:
    for one in proxy.trusted_proxies:
        try:
            network = ip_network(one)
        except ValueError as error:
            yield Problem("Server.ProxyAuth.TrustedProxies", f"{error}")
            continue
        if not network.prefixlen:
            yield Problem("Server.ProxyAuth.TrustedProxies", f"{one} trusts everybody")
    if not HEADER.fullmatch(proxy.user_header):
        yield Problem("Server.ProxyAuth.UserHeader", f"{proxy.user_header!r} is no header's name")
    elif proxy.user_header.lower() in {"authorization", "cookie"}:
        yield Problem("Server.ProxyAuth.UserHeader", "clients send that one themselves")
    if proxy.admins and not proxy.trusted_proxies:
        yield Problem("Server.ProxyAuth.TrustedProxies", "is empty: nobody could be an admin by it")
