"""From the settings to the bucket of a URL."""

import asyncio
import logging
import os
import ssl
from base64 import b64encode
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from hashlib import md5
from importlib import import_module
from pathlib import Path
from typing import Final

from funnel.core.error import Denied, Invalid, NotFound
from funnel.core.url import redacted
from funnel.net.client import Client, place_of
from funnel.ports import Clock
from funnel.storage.calls import Call
from funnel.storage.s3.address import (
    Address,
    address,
    candidates,
    checked,
    host_of,
    is_amazon,
    names,
    region_of,
)
from funnel.storage.s3.bucket import Bucket, Terms
from funnel.storage.s3.credentials import Credentials, written
from funnel.storage.s3.settings import AmazonSettings, BucketKeys, Encryption, Entry
from funnel.storage.web import heard, refusal

log = logging.getLogger(__name__)

REGION: Final = "us-east-1"
AMAZON: Final = "https://s3.amazonaws.com"
MOST: Final = 1_000
"""Buckets that are remembered."""
AGAIN: Final = timedelta(minutes=5)
"""Until a bucket that was not there is looked for again."""
CUSTOMER: Final = "x-amz-server-side-encryption-customer"
KEY_SIZE: Final = 32


class _Doors:
    """Buckets once found are kept, with their connections, credentials and regions."""

    def __init__(self, client: Client, now: Clock) -> None:
        self._client = client
        self._now = now
        self._buckets: dict[tuple[str, str], Bucket] = {}
        self._credentials: dict[str, Credentials] = {}

    def _kept(self, host: str, name: str) -> Bucket | None:
        return self._buckets.get((host, name))

    def _keep(self, host: str, name: str, bucket: Bucket) -> Bucket:
        if len(self._buckets) >= MOST:
            self._buckets.clear()
        self._buckets[host, name] = bucket
        return bucket

    def _nobody(self) -> Credentials:
        return self._credentials.setdefault("", Credentials((), self._now))

    def _of_bucket(self, one: BucketKeys, where: str) -> Credentials:
        if one.anonymous:
            return self._nobody()
        sources = (written(one.key, one.secret, one.secret_file, where),)
        return self._credentials.setdefault(where, Credentials(sources, self._now))


class AmazonDoors(_Doors):
    """Answers `store.Doors` for Amazon S3, or what is said to be in its place."""

    def __init__(
        self,
        settings: AmazonSettings,
        client: Client,
        now: Clock,
        amazon: str = AMAZON,
    ) -> None:
        super().__init__(client, now)
        self._settings = settings
        self._amazon = amazon

    async def bucket(self, url: str) -> tuple[Bucket, Address]:
        endpoint = self._settings.aws_config.endpoint
        found = checked(address(url, [host_of(endpoint)]), url)
        if kept := self._kept(found.host, found.bucket):
            return kept, found
        bucket = Bucket(self._client, self._now, await self._terms(url, found))
        return self._keep(found.host, found.bucket, bucket), found

    async def _terms(self, url: str, found: Address) -> Terms:
        config, own = self._settings.aws_config, _own(self._settings.buckets, found.bucket)
        region = own.region or region_of(found.host)
        if not region and config.endpoint:
            region = region_of(host_of(config.endpoint)) or config.region or REGION
        region = region or await self._region(url, found.bucket)
        base = _with_scheme(config.endpoint) if config.endpoint else _amazon_at(region)
        path_style = self._settings.path_style or not is_amazon(host_of(base))
        reading, writing = await _encryption(self._settings.sse)
        return Terms(
            url=_bucket_url(base, found.bucket, path_style=path_style),
            region=region,
            section="AmazonS3",
            credentials=self._come(own),
            common=_paying(requester_pays=self._settings.requester_pays),
            reading=reading,
            writing=writing,
        )

    def _come(self, own: BucketKeys) -> Credentials:
        if own.name:
            return self._of_bucket(own, f"AmazonS3.Buckets[{own.name}]")
        if self._settings.anonymous:
            return self._nobody()
        config, where = self._settings.aws_config, "AmazonS3.AWSConfig"
        sources = [written(config.key, config.secret, config.secret_file, where)]
        if not config.disable_auto_credential_load:
            # It takes long to load, and most stores have keys of their own.
            around = import_module("funnel.storage.s3.surroundings")
            found = around.Surroundings(os.environ, self._client, self._now)
            sources += found.sources(config.profile)
        return self._credentials.setdefault(where, Credentials(sources, self._now))

    async def _region(self, url: str, bucket: str) -> str:
        """Amazon tells it to everybody."""
        known = self._settings.aws_config.region
        with heard(url, "looking for its region"):
            origin, target = place_of(f"{self._amazon}/{bucket}")
            async with self._client.request("HEAD", origin, target, {}) as answer:
                if found := answer.headers.get("x-amz-bucket-region", ""):
                    return found
                # What is not known now is not to be remembered.
                is_over = answer.status == 404 and not known
                if is_over or answer.status == 429 or answer.status >= 500:
                    raise await refusal(answer, url, "looking for the region of its bucket")
        return known or REGION


class GenericDoors(_Doors):
    """Answers `store.Doors` for the entries of GenericS3; `amazon` where that is set up as well."""

    def __init__(
        self,
        entries: Sequence[Entry],
        client: Client,
        now: Clock,
        amazon: AmazonDoors | None = None,
    ) -> None:
        super().__init__(client, now)
        self._entries = entries
        self._amazon = amazon
        self._missing: dict[str, datetime] = {}
        """Buckets that no entry has, and until when they are not looked for again."""

    async def bucket(self, url: str) -> tuple[Bucket, Address]:
        found = checked(address(url, [host_of(one.endpoint) for one in self._entries]), url)
        entry = self._entry(url, found)
        if kept := self._kept(found.host, found.bucket):
            return kept, found
        bucket = Bucket(self._client, self._now, await self._terms(entry, found))
        is_named = found.host or names(entry, found.bucket)
        if self._amazon and not is_named and not await self._is_there(bucket, found.bucket, url):
            return await self._amazon.bucket(url)
        return self._keep(found.host, found.bucket, bucket), found

    async def _is_there(self, bucket: Bucket, name: str, url: str) -> bool:
        """Whether it is at the entry that names no bucket, or may be."""
        if self._missing.get(name, self._now()) > self._now():
            return False
        call = Call(url=url, deed="looking for its bucket", method="HEAD")
        try:
            await bucket.content(call)
        except NotFound:
            if len(self._missing) >= MOST:
                self._missing.clear()
            self._missing[name] = self._now() + AGAIN
            return False
        except (Denied, Invalid):
            log.debug("%s: the bucket may be there, and not for us", redacted(url))
        return True

    def _entry(self, url: str, found: Address) -> Entry:
        possible = candidates(found, self._entries)
        hosts = sorted({host_of(one.endpoint) for one in possible})
        if len(hosts) > 1:
            raise Invalid(
                f"{redacted(url)} is ambiguous: it may be at {' or '.join(hosts)}; write"
                f" s3://{hosts[0]}/{found.bucket}/{found.key}, or name its bucket in"
                " GenericS3[].Bucket"
            )
        if not possible:
            raise Invalid(f"{redacted(url)} is at no endpoint of GenericS3")
        return possible[0]

    async def _terms(self, entry: Entry, found: Address) -> Terms:
        own, base = _own(entry.buckets, found.bucket), _with_scheme(entry.endpoint)
        _, writing = await _encryption(Encryption(kms_key=entry.kms_key_id))
        return Terms(
            url=_bucket_url(base, found.bucket, path_style=entry.path_style),
            region=own.region or entry.region or region_of(host_of(base)) or REGION,
            section=f"GenericS3 with the endpoint {host_of(base)}",
            credentials=self._come(entry, own),
            common=_paying(requester_pays=entry.requester_pays),
            reading={},
            writing=writing,
            tls=await _trusting(entry.ca_file),
        )

    def _come(self, entry: Entry, own: BucketKeys) -> Credentials:
        where = f"GenericS3[{self._entries.index(entry)}]"
        if own.name:
            return self._of_bucket(own, f"{where}.Buckets[{own.name}]")
        return self._of_bucket(
            BucketKeys(
                key=entry.key,
                secret=entry.secret,
                secret_file=entry.secret_file,
                anonymous=entry.anonymous,
            ),
            where,
        )


def _own(buckets: Sequence[BucketKeys], name: str) -> BucketKeys:
    return next((one for one in buckets if one.name == name), BucketKeys())


def _with_scheme(endpoint: str) -> str:
    """Amazon speaks https; of others, those that say so."""
    base = endpoint.rstrip("/")
    if "://" in base:
        return base
    return f"https://{base}" if is_amazon(base) else f"http://{base}"


def _amazon_at(region: str) -> str:
    return f"https://s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"


def _bucket_url(base: str, bucket: str, *, path_style: bool) -> str:
    """A certificate for all buckets is for no name with a dot in it."""
    scheme, _, host = base.partition("://")
    if path_style or ("." in bucket and scheme == "https"):
        return f"{base}/{bucket}"
    return f"{scheme}://{bucket}.{host}"


def _paying(*, requester_pays: bool) -> Mapping[str, str]:
    return {"x-amz-request-payer": "requester"} if requester_pays else {}


async def _encryption(sse: Encryption) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """The headers of requests that read, and of those that write."""
    if sse.customer_key_file:
        headers = await asyncio.to_thread(_customer, sse.customer_key_file)
        return headers, headers
    if sse.kms_key:
        kind = "x-amz-server-side-encryption"
        return {}, {kind: "aws:kms", f"{kind}-aws-kms-key-id": sse.kms_key}
    return {}, {}


def _customer(file: str) -> Mapping[str, str]:
    try:
        key = Path(file).read_bytes()
    except OSError as error:
        raise Invalid(f"AmazonS3.SSE.CustomerKeyFile cannot be read: {error.strerror}") from error
    if len(key) != KEY_SIZE:
        raise Invalid(
            f"AmazonS3.SSE.CustomerKeyFile has {len(key)} bytes; a key has {KEY_SIZE}, as"
            f" `head -c {KEY_SIZE} /dev/urandom` makes it"
        )
    return {
        f"{CUSTOMER}-algorithm": "AES256",
        f"{CUSTOMER}-key": b64encode(key).decode(),
        f"{CUSTOMER}-key-md5": b64encode(md5(key, usedforsecurity=False).digest()).decode(),
    }


async def _trusting(file: str) -> ssl.SSLContext | None:
    if not file:
        return None
    try:
        return await asyncio.to_thread(ssl.create_default_context, cafile=file)
    except OSError as error:
        raise Invalid(f"GenericS3[].CAFile {file} cannot be used: {error}") from error
