"""What the server says of itself, in today's shape and in that of before TES 1.0."""

from msgspec import json

from funnel.core.info import ServiceInfo
from funnel.core.value import Value


class _Legacy(Value):
    """The shape before TES 1.0, which clients of that time ask for and read strictly."""

    name: str
    doc: str
    storage: tuple[str, ...]


def write_info(info: ServiceInfo) -> bytes:
    return json.encode(info)


def write_legacy_info(info: ServiceInfo) -> bytes:
    return json.encode(_Legacy(info.name, info.description, info.storage))
