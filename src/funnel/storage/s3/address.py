"""Which object an `s3://` URL means, and at which endpoint."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from funnel.core.error import Invalid
from funnel.core.url import redacted
from funnel.storage.s3.settings import Entry
from funnel.storage.s3.sign import quoted

SCHEME: Final = "s3://"
AMAZON: Final = re.compile(r"s3(?:[.-][a-z0-9-]+)*\.amazonaws\.com(?:\.cn)?", re.IGNORECASE)
REGION: Final = re.compile(r"[a-z]{2,4}(?:-[a-z]+)+-\d+")
BUCKET: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_-]|\.(?!\.)){0,254}")


class Address(NamedTuple):
    """`host` is the endpoint as the URL has it; empty where it names none."""

    host: str
    bucket: str
    key: str

    @property
    def path(self) -> str:
        """Below that of the bucket."""
        return path_of(self.key)


def path_of(key: str) -> str:
    """
    Of an object, below that of its bucket, encoded.

    >>> path_of("a b/c")
    '/a%20b/c'
    """
    return f"/{quoted(key)}"


@lru_cache(256)
def host_of(endpoint: str) -> str:
    """
    An endpoint as URLs name it.

    >>> host_of("https://store.example.org:9000/")
    'store.example.org:9000'
    """
    return endpoint.partition("://")[2].rstrip("/") if "://" in endpoint else endpoint.rstrip("/")


@lru_cache(256)
def is_amazon(host: str) -> bool:
    return bool(AMAZON.fullmatch(host))


def region_of(host: str) -> str:
    """
    That in the name of a host of Amazon's; empty for none.

    >>> region_of("s3.eu-west-1.amazonaws.com"), region_of("s3-us-west-2.amazonaws.com")
    ('eu-west-1', 'us-west-2')
    >>> region_of("s3.amazonaws.com")
    ''
    """
    found = REGION.search(host.partition(".amazonaws.")[0].removeprefix("s3"))
    return found.group() if found else ""


def address(url: str, hosts: Iterable[str]) -> Address:
    """
    What a URL names; `hosts` are endpoints that may stand before a bucket, beside Amazon's.

    >>> address("s3://store:9000/data/a/b", ["store:9000"])
    Address(host='store:9000', bucket='data', key='a/b')
    >>> address("s3://data/a/b", ["store:9000"])
    Address(host='', bucket='data', key='a/b')
    """
    rest = url.removeprefix(SCHEME)
    known = sorted((one for one in hosts if one), key=len, reverse=True)
    host = next((one for one in known if _starts(rest, one)), "")
    first = rest.partition("/")[0]
    if not host and is_amazon(first):
        host = first
    if host:
        rest = rest[len(host) + 1 :]
    bucket, _, key = rest.partition("/")
    return Address(host.lower(), bucket, key)


def _starts(rest: str, host: str) -> bool:
    return f"{rest}/".lower().startswith(f"{host}/".lower())


def checked(found: Address, url: str) -> Address:
    """Raises `Invalid` for what names no bucket, or climbs."""
    if not found.bucket:
        raise Invalid(f"{redacted(url)} names no bucket; write s3://bucket/key")
    if not BUCKET.fullmatch(found.bucket):
        raise Invalid(
            f"{redacted(url)} names neither a bucket nor an endpoint of the"
            " settings (GenericS3[].Endpoint)"
        )
    if not {".", ".."}.isdisjoint(found.key.split("/")):
        raise Invalid(f"{redacted(url)} has parts that climb: write it without . and ..")
    return found


def named(url: str, found: Address) -> None:
    """Raises `Invalid` for what cannot become the name of a file."""
    if not found.key or found.key.endswith("/"):
        raise Invalid(f"{redacted(url)} names no file; write s3://bucket/key")
    if len(found.key.encode(errors="surrogateescape")) > 1024:
        raise Invalid(f"{redacted(url)} has a key of more than 1,024 bytes")


def candidates(found: Address, entries: Sequence[Entry]) -> Sequence[Entry]:
    """
    The entries that may have what a URL names, by the settings alone: at best one.

    One that names the bucket is before those that name none; these take any that is not
    Amazon's by its host.
    """
    there = [
        one for one in entries if not found.host or host_of(one.endpoint).lower() == found.host
    ]
    naming = [one for one in there if names(one, found.bucket)]
    return naming or [one for one in there if found.host or not one.bucket]


def names(entry: Entry, bucket: str) -> bool:
    return bucket in {entry.bucket, *(one.name for one in entry.buckets)}
