"""One file on its way to a store, in some tries."""

from msgspec.structs import replace

from funnel.core.error import Exists, Unavailable
from funnel.core.url import redacted
from funnel.ports import Object, Remover, Store
from funnel.storage.content import FileContent
from funnel.storage.landing import Corrupt
from funnel.storage.patience import Watch
from funnel.storage.unfinished import taken_back


class Writing:
    def __init__(
        self, store: Store, url: str, content: FileContent, watch: Watch, *, overwrite: bool
    ) -> None:
        self._store = store
        self._url = url
        self._content = content
        self._watch = watch
        self._overwrite = overwrite
        self._in_doubt = False
        if not overwrite:
            content.hash_with_md5()

    async def once(self) -> Object:
        """Raises as `ports.Transfer` does; what was stored wrong is removed, if nothing else is."""
        stored = replace(await self._write(), url=self._url)
        async with taken_back(redacted(self._url), lambda: self._remove(stored)):
            _check(stored, self._content)
        return replace(stored, size_bytes=self._content.count)

    async def _write(self) -> Object:
        try:
            async with self._watch.watching():
                return await self._store.write(self._url, self._content, overwrite=self._overwrite)
        except Unavailable:
            self._in_doubt = True
            raise
        except Exists as error:
            if not self._in_doubt:
                raise
            return await self._of_an_earlier_try(error)

    async def _of_an_earlier_try(self, error: Exists) -> Object:
        """What is there may be ours: stored by a try of which no answer came."""
        async with self._watch.watching():
            found = await self._store.stat(self._url)
        if found.checksums.get("md5") == self._content.md5:
            return found
        raise Exists(f"{error}; an earlier try may have stored it, of which no answer came")

    async def _remove(self, stored: Object) -> None:
        if isinstance(self._store, Remover):
            await self._store.remove(stored)


def _check(stored: Object, content: FileContent) -> None:
    shown = redacted(stored.url)
    if content.size >= 0 and not stored.size_bytes == content.count == content.size:
        raise Corrupt(
            f"{shown} has {stored.size_bytes} bytes; {content.count} of {content.size} were sent"
        )
    found = stored.checksums.get("md5", "")
    if content.md5 and found and content.md5 != found:
        raise Corrupt(f"{shown} has the MD5 {found}, and was sent as {content.md5}")
