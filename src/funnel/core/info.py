"""What a server says of itself (TES 1.1 `tesServiceInfo`)."""

from datetime import datetime

from msgspec import field

from funnel.core.value import Value


class ServiceType(Value, kw_only=True):
    group: str
    artifact: str
    version: str


class Organization(Value, kw_only=True):
    """Who runs this server."""

    name: str
    url: str


def _none() -> tuple[str, ...]:
    """As a factory, so that it is always written."""
    return ()


class ServiceInfo(Value, kw_only=True, rename="camel"):
    """
    `storage` has URLs below which files may be; `file://` ones only where tasks write in place.

    `backend_parameters` are those that the backend understands.
    """

    id: str
    name: str
    type: ServiceType
    organization: Organization
    version: str
    storage: tuple[str, ...] = field(default_factory=_none)
    backend_parameters: tuple[str, ...] = field(
        name="tesResources_backend_parameters", default_factory=_none
    )
    description: str = ""
    contact_url: str = ""
    documentation_url: str = ""
    created_at: datetime | None = None
    updated_at: datetime | None = None
    environment: str = ""


TES_TYPE = ServiceType(group="org.ga4gh", artifact="tes", version="1.1.0")
TES_DOCUMENTATION = "https://github.com/ga4gh/task-execution-schemas"
