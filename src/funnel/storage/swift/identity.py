"""Logging in: at Swift itself (version 1), or at Keystone (versions 2 and 3)."""

import asyncio
import ssl
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from msgspec import DecodeError, ValidationError, json

from funnel.core.error import Denied, FunnelError, Invalid, Unavailable
from funnel.core.secret import Secret
from funnel.core.url import redacted
from funnel.core.value import Value
from funnel.net.client import Client, place_of
from funnel.net.clock import now
from funnel.storage.swift.settings import SwiftSettings, is_web
from funnel.storage.web import heard, refusal

T = TypeVar("T")

TIMEOUT: Final = 30.0
"""Seconds for a login."""
KIND: Final = "object-store"
DAY: Final = 86_400.0
"""Seconds that a token lasts which does not say."""
CHECK: Final = "check who the settings of Swift say that we are, as in Swift.UserName"
ADDRESS: Final = "check Swift.AuthURL and Swift.AuthVersion"
FINE: Final = frozenset({200, 201, 203, 204})
MOST: Final = 4 << 20
"""Bytes of an answer; the longest catalogs have some hundred thousand."""


class Pass(NamedTuple):
    """What opens the account at `root`, for so many seconds."""

    token: Secret
    root: str
    lasting: float


class Endpoint(NamedTuple):
    """Where a service is, as the catalogue of Keystone has it."""

    interface: str
    region: str
    url: str


class _Place(Value):
    interface: str = ""
    region: str = ""
    url: str = ""


class _Service(Value):
    type: str = ""
    endpoints: tuple[_Place, ...] = ()


class _Token(Value):
    expires_at: datetime | None = None
    catalog: tuple[_Service, ...] = ()


class _Third(Value):
    token: _Token


class _OldPlace(Value, rename={"public": "publicURL", "internal": "internalURL"}):
    region: str = ""
    public: str = ""
    internal: str = ""
    admin: str = ""


class _OldService(Value):
    type: str = ""
    endpoints: tuple[_OldPlace, ...] = ()


class _OldToken(Value):
    id: str
    expires: datetime | None = None


class _Access(Value, rename={"catalog": "serviceCatalog"}):
    token: _OldToken
    catalog: tuple[_OldService, ...] = ()


class _Second(Value):
    access: _Access


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    headers: Mapping[str, str]
    body: bytes


class Login:
    """One, on behalf of a URL, which errors name."""

    def __init__(
        self,
        client: Client,
        settings: SwiftSettings,
        tls: ssl.SSLContext | None,
        url: str,
    ) -> None:
        self._client = client
        self._settings = settings
        self._tls = tls
        self._url = url
        self._deed = f"logging in at {redacted(settings.auth_url)}"
        self._told: tuple[str, ...] = ()
        """Our secret, as it was sent."""

    async def done(self) -> Pass:
        """Raises as `ports.Transfer` does."""
        found = await (self._first, self._second, self._third)[self._settings.version - 1]()
        if not found.token or not is_web(found.root):
            raise self._nonsense()
        return found._replace(root=found.root.rstrip("/"))

    async def _first(self) -> Pass:
        password = await self._secret("password")
        headers = {"X-Auth-User": self._settings.user_name, "X-Auth-Key": password}
        answer = await self._asked("GET", self._settings.auth_url, headers, None)
        lasting = answer.headers.get("X-Auth-Token-Expires", "")
        return Pass(
            Secret(answer.headers.get("X-Auth-Token", "")),
            self._settings.storage_url or answer.headers.get("X-Storage-Url", ""),
            float(lasting) if lasting.isdecimal() else DAY,
        )

    async def _second(self) -> Pass:
        settings = self._settings
        who = {"username": settings.user_name, "password": await self._secret("password")}
        project = {"tenantId": settings.tenant_id} if settings.tenant_id else {}
        if settings.tenant_name and not project:
            project = {"tenantName": settings.tenant_name}
        told = {"auth": {"passwordCredentials": who, **project}}
        found = self._read(await self._posted("v2.0", "tokens", told), _Second).access
        places = (
            Endpoint(interface, one.region, url)
            for service in found.catalog
            if service.type == KIND
            for one in service.endpoints
            for interface, url in (
                ("public", one.public),
                ("internal", one.internal),
                ("admin", one.admin),
            )
        )
        return Pass(Secret(found.token.id), self._root(places), _lasting(found.token.expires))

    async def _third(self) -> Pass:
        answer = await self._posted("v3", "auth/tokens", {"auth": await self._identity()})
        found = self._read(answer, _Third).token
        places = (
            Endpoint(one.interface, one.region, one.url)
            for service in found.catalog
            if service.type == KIND
            for one in service.endpoints
        )
        token = Secret(answer.headers.get("X-Subject-Token", ""))
        return Pass(token, self._root(places), _lasting(found.expires_at))

    async def _identity(self) -> Mapping[str, Any]:
        """An application credential says by itself for which project it is."""
        settings = self._settings
        domain = _named(settings.user_domain_id, settings.user_domain_name) or {"id": "default"}
        user = {"name": settings.user_name, "domain": domain}
        key, name = settings.application_credential_id, settings.application_credential_name
        if key or name:
            credential: dict[str, Any] = {"id": key} if key else {"name": name, "user": user}
            credential["secret"] = await self._secret("application_credential_secret")
            way = "application_credential"
            return {"identity": {"methods": [way], way: credential}}
        home = _named(settings.project_domain_id, settings.project_domain_name) or domain
        project: dict[str, Any] = {"name": settings.tenant_name, "domain": home}
        if settings.tenant_id:
            project = {"id": settings.tenant_id}
        return {
            "identity": {
                "methods": ["password"],
                "password": {"user": {**user, "password": await self._secret("password")}},
            },
            "scope": {"project": project},
        }

    def _root(self, places: Iterable[Endpoint]) -> str:
        """Where the account is."""
        settings = self._settings
        if settings.storage_url:
            return settings.storage_url
        interface = settings.interface.removesuffix("URL") or "public"
        what = f"{redacted(self._url)}: {redacted(settings.auth_url)}"
        known = [one for one in places if one.url]
        if not known:
            raise Invalid(
                f"{what} lets us in, and names no object store: check Swift.TenantName, or give"
                " Swift.StorageURL"
            )
        found = [one for one in known if one.interface == interface]
        regions = sorted({one.region for one in found})
        mine = [one for one in found if settings.region_name in {"", one.region}]
        if not mine:
            raise Invalid(
                f"{what} knows no {interface} address of an object store"
                f"{f' in the region {settings.region_name}' if settings.region_name else ''},"
                f" but those in {regions}: check Swift.RegionName and Swift.Interface"
            )
        if len({one.region for one in mine}) > 1:
            raise Invalid(f"{what} has object stores in {regions}: name one in Swift.RegionName")
        return mine[0].url

    async def _posted(self, version: str, path: str, told: object) -> _Answer:
        url = self._settings.auth_url.rstrip("/")
        last = url.rpartition("/")[2]
        base = url if last[:1] == "v" and last[1:2] == version[1] else f"{url}/{version}"
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        return await self._asked("POST", f"{base}/{path}", headers, json.encode(told))

    async def _asked(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> _Answer:
        asking = self._client.request(method, *place_of(url, self._tls), headers, body)
        try:
            with heard(self._url, self._deed, "look at Swift.CAFile"):
                async with asyncio.timeout(TIMEOUT), asking as answer:
                    if answer.status not in FINE:
                        raise await refusal(answer, self._url, self._deed, CHECK, self._told)
                    body = await answer.content.read(MOST)
                    return _Answer(headers=answer.headers, body=body)
        except FunnelError as error:
            if type(error) in {Denied, Unavailable}:
                raise
            # It is not the object that is not there.
            raise Invalid(f"{error}; {ADDRESS}") from error

    def _read(self, answer: _Answer, kind: type[T]) -> T:
        try:
            return json.decode(answer.body, type=kind)
        except (DecodeError, ValidationError) as error:
            raise self._nonsense() from error

    def _nonsense(self) -> Unavailable:
        return Unavailable(
            f"{redacted(self._url)}: {self._deed}: what came is no answer of Swift or Keystone;"
            f" {ADDRESS}"
        )

    async def _secret(self, name: str) -> str:
        """What is written anew in a file is read anew."""
        file = str(getattr(self._settings, f"{name}_file"))
        given: Secret = getattr(self._settings, name)
        setting = "Password" if name == "password" else "ApplicationCredentialSecret"
        try:
            text = await asyncio.to_thread(_content, file) if file else given.reveal()
        except (OSError, UnicodeDecodeError) as error:
            raise Invalid(f"Swift.{setting}File: {file} cannot be read: {error}") from error
        if not text:
            raise Denied(f"{redacted(self._url)}: nobody can log in: give Swift.{setting}")
        self._told = (text, json.encode(text).decode()[1:-1])
        return text


def _content(file: str) -> str:
    return Path(file).expanduser().read_text().strip()


def _named(key: str, name: str) -> Mapping[str, str]:
    if key:
        return {"id": key}
    return {"name": name} if name else {}


def _lasting(until: datetime | None) -> float:
    if until is None:
        return DAY
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return (until - now()).total_seconds()
