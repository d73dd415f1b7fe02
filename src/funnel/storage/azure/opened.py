"""Blobs at `az://` and `https://`: moves bytes; the rest is done around it."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Final, Literal, NamedTuple, TypeAlias
from urllib.parse import unquote

import obstore
from msgspec.structs import replace
from obstore.exceptions import BaseError
from obstore.store import AzureStore

from funnel.core.error import Invalid, NotFound, Unavailable
from funnel.core.secret import Secret
from funnel.core.url import redacted
from funnel.ports import Content, Object, Reading
from funnel.storage.azure.failure import failure
from funnel.storage.azure.plugin import SCHEME, AzureAccount
from funnel.storage.content import PART
from funnel.storage.hosts import revealed

PIECE: Final = 1 << 20
BRIEF: Final = 60.0
"""Seconds for a request without content."""
CONTAINER: Final = re.compile(r"\$root|\$web|[a-z0-9](?:-?[a-z0-9]){2,62}")
LONGEST: Final = 1024
"""Characters of a name, as Azure has it."""


Mode: TypeAlias = Literal["create", "overwrite"]


class Place(NamedTuple):
    """What a URL means."""

    account: AzureAccount
    container: str
    name: str


class BlobStore:
    """Answers `ports.Store`; the first account is that of `az://` URLs."""

    def __init__(self, accounts: Sequence[AzureAccount]) -> None:
        self._accounts = accounts
        self._containers: dict[tuple[str, str], AzureStore] = {}

    def takes(self, url: str) -> bool:
        return url.startswith((SCHEME, *(f"{one.root}/" for one in self._accounts)))

    async def stat(self, url: str) -> Object:
        place = _existing(self._place(url))
        with told(url, "looking", place.account):
            async with asyncio.timeout(BRIEF):
                return _object(url, "", await obstore.head_async(self._at(place), place.name))

    async def list_objects(self, url: str) -> AsyncIterator[Object]:
        place = self._place(url)
        above = place.name.rstrip("/")
        with told(url, "listing", place.account):
            pages = _pages(self._at(place), above)
        while True:
            with told(url, "listing", place.account):
                try:
                    async with asyncio.timeout(BRIEF):
                        page = await anext(pages)
                except StopAsyncIteration:
                    return
            for one in page:
                name = one["path"].removeprefix(f"{above}/" if above else "")
                yield _object(url, _speakable(url, name), one)

    @asynccontextmanager
    async def read(
        self, url: str, start: int, end: int | None, etag: str
    ) -> AsyncGenerator[Reading]:
        del etag
        place = _existing(self._place(url))
        with told(url, "reading", place.account):
            store = self._at(place)
            if end is not None:
                given = obstore.get_async(store, place.name, options={"range": (start, end)})
            elif start:
                given = obstore.get_async(store, place.name, options={"range": {"offset": start}})
            else:
                given = obstore.get_async(store, place.name)
            answer = await given
        yield Reading(
            found=_object(url, "", answer.meta),
            start=start,
            pieces=_pieces(answer, url, place.account),
        )

    async def write(self, url: str, content: Content, *, overwrite: bool = True) -> Object:
        """Blocks that were sent and not named at the end nobody sees; Azure drops them."""
        place = _named(self._place(url), url)
        small = 0 <= content.size <= 2 * PART
        if not (small or overwrite):
            # The library makes conditions for what it sends in one request alone.
            raise Invalid(
                f"{redacted(url)}: files of more than {2 * PART >> 20} MiB cannot be stored at"
                " Azure only where there is none"
            )
        with told(url, "storing", place.account):
            store = self._at(place)
            if small:
                body = await content.whole()
                mode: Mode = "overwrite" if overwrite else "create"
                stored = await obstore.put_async(
                    store, place.name, body, use_multipart=False, mode=mode
                )
            else:
                stored = await obstore.put_async(
                    store,
                    place.name,
                    content.pieces(PART),
                    use_multipart=True,
                    chunk_size=PART,
                    max_concurrency=content.abreast,
                )
        return Object(url, max(content.size, 0), etag=(stored["e_tag"] or "").strip('"'))

    def _place(self, url: str) -> Place:
        """Raises `Invalid` for a URL that means nothing."""
        if url.startswith(SCHEME):
            if not self._accounts:
                raise Invalid(f"{redacted(url)}: AzureStorage.Account is missing")
            account, rest = self._accounts[0], url.removeprefix(SCHEME)
        else:
            account = next(one for one in self._accounts if url.startswith(f"{one.root}/"))
            rest = unquote(url.removeprefix(f"{account.root}/"))
        container, _, name = rest.partition("/")
        if not CONTAINER.fullmatch(container):
            raise Invalid(f"{redacted(url)} names no container; write az://container/blob")
        return Place(account, container, name)

    def _at(self, place: Place) -> AzureStore:
        key = place.account.root, place.container
        if key not in self._containers:
            self._containers[key] = _opened(place.account, place.container)
        return self._containers[key]


def _pages(store: Any, above: str) -> "AsyncIterator[Sequence[obstore.ObjectMeta]]":
    """The library's types say less."""
    pages: AsyncIterator[Sequence[obstore.ObjectMeta]] = store.list(above or None, chunk_size=1000)
    return pages


def _opened(account: AzureAccount, container: str) -> AzureStore:
    """
    Of one container. Tries are made by us, and silence is watched over by us.

    What the environment says is not to change what the settings do.
    """
    kind = "auto"
    if account.key:
        kind = "access_key"
    elif account.sas_token:
        kind = "sas_token"
    config: Any = {
        "account_name": account.account,
        "endpoint": account.root,
        "use_emulator": False,
        "use_fabric_endpoint": False,
        "skip_signature": account.anonymous,
        "credential_type": kind,
        **({"account_key": account.key.reveal()} if account.key else {}),
        **({"sas_key": account.sas_token.reveal().lstrip("?")} if account.sas_token else {}),
    }
    return AzureStore(
        container,
        config=config,
        client_options={
            "allow_http": account.root.startswith("http://"),
            "connect_timeout": "30s",
            "timeout": "30d",
        },
        retry_config={"max_retries": 0},
    )


@contextmanager
def told(url: str, deed: str, account: AzureAccount) -> Generator[None]:
    """Failures of the library become ours; its file errors have no number, those of disks have."""
    try:
        yield
    except TimeoutError as error:
        raise Unavailable(f"{redacted(url)}: {deed} took more than {BRIEF:g} s") from error
    except FileNotFoundError as error:
        if error.errno:
            raise
        raise failure(url, deed, str(error), account) from None
    except (BaseError, ValueError) as error:
        # Its texts may have parts of what was sent.
        raise failure(url, deed, str(error), account) from None


async def _pieces(
    answer: "obstore.GetResult", url: str, account: AzureAccount
) -> AsyncIterator[bytes]:
    coming = answer.stream(min_chunk_size=PIECE)
    while True:
        with told(url, "reading", account):
            try:
                piece = await anext(coming)
            except StopAsyncIteration:
                return
        yield bytes(piece)


def _named(place: Place, url: str) -> Place:
    """As Azure keeps names; others it would change, or the library would."""
    name = place.name
    odd = name.endswith((".", "/")) or "\\" in name or "//" in name or name.startswith("/")
    if not name or odd or {".", ".."} & set(name.split("/")):
        raise Invalid(
            f"{redacted(url)} has a name that Azure does not keep: none that is empty, ends in a"
            r" dot or a slash, has \ or //, or climbs"
        )
    if len(name) > LONGEST:
        raise Invalid(f"{redacted(url)} has a name of more than {LONGEST} characters")
    return place


def _existing(place: Place) -> Place:
    """No file has the name of a directory."""
    if not place.name or place.name.endswith("/"):
        raise NotFound(f"az://{place.container}/{place.name} is no file")
    return place


def _speakable(url: str, name: str) -> str:
    if not url.startswith(SCHEME) and set(name) & set("%?#"):
        raise Invalid(f"{redacted(url)} holds {name!r}; write its directory as az://")
    return name


def _object(url: str, name: str, found: "obstore.ObjectMeta") -> Object:
    return Object(
        url,
        found["size"],
        name,
        etag=(found["e_tag"] or "").strip('"'),
        last_modified=found["last_modified"],
    )


@asynccontextmanager
async def opened(settings: Sequence[AzureAccount]) -> AsyncGenerator[BlobStore]:
    """Raises `Invalid` where a file with a secret cannot be read."""
    yield BlobStore([await asyncio.to_thread(_with_secrets, one) for one in settings])


def _with_secrets(account: AzureAccount) -> AzureAccount:
    try:
        key = revealed(account.key, account.key_file)
        token = revealed(account.sas_token, account.sas_token_file)
    except (OSError, ValueError) as error:
        raise Invalid(
            f"a file of account {account.account} in AzureStorage is of no use: {error}"
        ) from error
    return replace(account, key=Secret(key), sas_token=Secret(token))
