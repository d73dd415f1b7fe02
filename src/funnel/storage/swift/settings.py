"""What the settings say of Swift, and the environment where they say nothing."""

import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

from msgspec.structs import replace

from funnel.core.error import Invalid
from funnel.core.secret import Secret
from funnel.core.url import redacted
from funnel.core.value import Value

VARIABLES: Final[Mapping[str, tuple[str, ...]]] = {
    "auth_url": ("OS_AUTH_URL", "ST_AUTH"),
    "auth_version": ("OS_IDENTITY_API_VERSION", "ST_AUTH_VERSION"),
    "user_name": ("OS_USERNAME", "ST_USER"),
    "password": ("OS_PASSWORD", "ST_KEY"),
    "tenant_name": ("OS_TENANT_NAME", "OS_PROJECT_NAME"),
    "tenant_id": ("OS_TENANT_ID", "OS_PROJECT_ID"),
    "user_domain_name": ("OS_USER_DOMAIN_NAME",),
    "user_domain_id": ("OS_USER_DOMAIN_ID",),
    "project_domain_name": ("OS_PROJECT_DOMAIN_NAME",),
    "project_domain_id": ("OS_PROJECT_DOMAIN_ID",),
    "application_credential_id": ("OS_APPLICATION_CREDENTIAL_ID",),
    "application_credential_name": ("OS_APPLICATION_CREDENTIAL_NAME",),
    "application_credential_secret": ("OS_APPLICATION_CREDENTIAL_SECRET",),
    "region_name": ("OS_REGION_NAME",),
    "interface": ("OS_INTERFACE", "OS_ENDPOINT_TYPE"),
    "storage_url": ("OS_STORAGE_URL",),
    "ca_file": ("OS_CACERT",),
}
INTERFACES: Final = frozenset({"public", "internal", "admin"})
VERSION: Final = re.compile(r"/v([123])(?:\.\d+)?(?:/|$)")


class SwiftSettings(Value, kw_only=True, rename={"ca_file": "CAFile"}):
    """
    Objects at `swift://container/object`.

    What is empty is taken from the variables of OpenStack (OS_AUTH_URL, OS_USERNAME ...) or of
    Swift itself (ST_AUTH, ST_USER, ST_KEY).
    """

    disabled: bool = False
    auth_url: str = ""
    """Where to log in: that of Keystone, or of Swift itself for version 1."""
    auth_version: str = ""
    """1, 2 or 3; empty: as AuthURL says in its path, or else 3."""
    user_name: str = ""
    """For version 1 mostly account:user."""
    password: Secret = Secret()
    """For version 1 the key."""
    password_file: str = ""
    """A file with the password, instead of the password itself."""
    tenant_name: str = ""
    """The project, as it is called since version 3."""
    tenant_id: str = ""
    """The project by its id, instead of its name."""
    user_domain_name: str = ""
    """Where the user is; empty, and without UserDomainID: the domain with the id default."""
    user_domain_id: str = ""
    project_domain_name: str = ""
    """Where the project is; empty, and without ProjectDomainID: that of the user."""
    project_domain_id: str = ""
    application_credential_id: str = ""
    """An application credential of version 3, instead of a user and a password."""
    application_credential_name: str = ""
    """The same by its name, which takes the user as well."""
    application_credential_secret: Secret = Secret()
    application_credential_secret_file: str = ""
    """A file with that secret, instead of the secret itself."""
    region_name: str = ""
    """Of the object store, where there are several."""
    interface: str = ""
    """Which address of the object store is taken: public, internal or admin; empty: public."""
    storage_url: str = ""
    """That of the account, https://host/v1/AUTH_x; empty: what is told after the login."""
    ca_file: str = ""
    """Who issues the certificates, in PEM; empty: those that every program believes."""
    chunk_size_bytes: int = 500_000_000
    """Not used: the segments of large objects have 8 MiB, since they are held in memory."""
    max_retries: int = 20
    """Times that a failure which may pass is tried again."""

    @property
    def version(self) -> int:
        """Raises `Invalid`."""
        if self.auth_version:
            number = self.auth_version.removeprefix("v").partition(".")[0]
            if number not in {"1", "2", "3"}:
                raise Invalid(f"Swift.AuthVersion is {self.auth_version!r}; say 1, 2 or 3")
            return int(number)
        found = VERSION.search(self.auth_url)
        return int(found[1]) if found else 3


def filled(settings: SwiftSettings, environment: Mapping[str, str]) -> SwiftSettings:
    """With what the environment says. Raises `Invalid` for what cannot be."""
    more = dict[str, Any]()
    for name, variables in VARIABLES.items():
        text = next((environment[one] for one in variables if environment.get(one)), "")
        given = getattr(settings, name)
        if text and not given and not getattr(settings, f"{name}_file", ""):
            more[name] = Secret(text) if isinstance(given, Secret) else text
    if settings.application_credential_name or settings.user_name:
        # Who is named in the settings is meant.
        more.pop("application_credential_id", None)
        more.pop("application_credential_name", None)
    found = replace(settings, **more)
    _check(found)
    return found


def _check(settings: SwiftSettings) -> None:
    for name, url in (("AuthURL", settings.auth_url), ("StorageURL", settings.storage_url)):
        if url and not is_web(url):
            raise Invalid(f"Swift.{name}: {redacted(url)} is no URL of http:// or https://")
    if not settings.auth_url:
        raise Invalid("Swift.AuthURL is missing: name where to log in, there or in OS_AUTH_URL")
    if settings.interface.removesuffix("URL") not in INTERFACES | {""}:
        raise Invalid(f"Swift.Interface is {settings.interface!r}; say public, internal or admin")


def is_web(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
