"""What is in a list of blobs."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple
from urllib.parse import unquote

from funnel.core.error import Invalid
from funnel.core.url import redacted
from funnel.ports import Object
from funnel.storage.azure.settings import SCHEME
from funnel.storage.web import checksums_of, date_of
from funnel.storage.xml import listing

DIRECTORY: Final = "directory"


class Page(NamedTuple):
    """`marker` is that of the next one; empty for none."""

    blobs: Sequence[Object]
    marker: str


def page_of(content: bytes, url: str, above: str) -> Page:
    """Raises `Unavailable` for what is no list; the names of the blobs are those below `above`."""
    said, things = listing(content, url, "Results", "Blob", "Properties")
    blobs = list[Object]()
    for found in things:
        if found.get("ResourceType") == DIRECTORY:
            continue
        name = found.get("Name", "")
        # What XML has no letters for.
        encoded = found.get("Name@Encoded") == "true"
        blobs.append(_blob(url, (unquote(name) if encoded else name).removeprefix(above), found))
    return Page(blobs, said.get("NextMarker", ""))


def _blob(url: str, name: str, found: Mapping[str, str]) -> Object:
    if not url.startswith(SCHEME) and set(name) & set("%?#"):
        raise Invalid(f"{redacted(url)} holds {name!r}; write its directory as az://")
    return Object(
        url,
        int(found.get("Content-Length") or 0),
        name,
        etag=found.get("Etag", "").strip('"'),
        last_modified=date_of(found.get("Last-Modified", "")),
        checksums=checksums_of({"Content-MD5": found.get("Content-MD5", "")}),
    )
