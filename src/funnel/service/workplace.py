"""Where an attempt has its files."""

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from msgspec import DecodeError, json

from funnel.core.error import FunnelError, Unavailable
from funnel.core.places import TMP
from funnel.core.task import TaskId
from funnel.core.value import Value
from funnel.ports import Housekeeping
from funnel.safepath import remove_tree

NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class Owner(Value):
    """Whose attempt it is, and an image that may be used to delete its files."""

    deployment: str
    image: str
    database: str = ""
    """Where its task is kept; empty where nobody has said so."""


@dataclass(frozen=True)
class Workplace:
    """
    `<work directory>/<task>/<attempt>/`: `root` is what containers see, `private` is ours.

    Nobody else on this machine may enter it; containers see only what is mounted.
    """

    top: Path

    @classmethod
    def of(cls, work_dir: Path, task_id: TaskId, fence: int) -> "Workplace":
        return cls(Path(work_dir, task_id, str(fence)).absolute())

    @cached_property
    def root(self) -> Path:
        return self.top / "root"

    @cached_property
    def private(self) -> Path:
        return self.top / "private"

    def fed(self, index: int) -> Path:
        """Is there once all of an executor's standard input has been written."""
        return self.private / f"{index}.fed"

    def overtime(self, index: int) -> Path:
        """Is there once the time limit has stopped an executor."""
        return self.private / f"{index}.overtime"

    @property
    def began(self) -> Path:
        """Holds when the first container of an attempt began, where its time is limited."""
        return self.private / "began"

    def blame(self, error: OSError) -> str:
        """What to say of a file that failed: our own are here, and storages raise others."""
        words = error.strerror or str(error) or type(error).__name__
        where = error.filename if isinstance(error.filename, str) else self.top
        return f"{words}: {where}; see to the disk of Worker.WorkDir"

    def owner(self) -> Owner | None:
        """None where nobody has said so; blocks."""
        try:
            return json.decode(self._owned.read_bytes(), type=Owner)
        except (OSError, DecodeError):
            return None

    def make(self, owner: Owner) -> None:
        """Blocks. Raises `Unavailable`: no task is at fault here."""
        try:
            for folder in (self.top.parent, self.top, self.private):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            # Before any other file, so that none is left of a task that nobody knows any more.
            owned = os.open(self._owned, NEW, 0o600)
            try:
                os.write(owned, json.encode(owner))
            finally:
                os.close(owned)
        except OSError as error:
            raise Unavailable(self.blame(error)) from error

    @property
    def _owned(self) -> Path:
        return self.private / "owner"

    async def clear(self, housekeeping: Housekeeping, image: str) -> None:
        """Delete all of it, what a container's root left too. Raises `FunnelError`."""
        if await asyncio.to_thread(self._is_removed):
            return
        await housekeeping.erase(self.top, image)
        if not await asyncio.to_thread(self._is_removed):
            raise FunnelError(f"{self.top} cannot be removed; remove it by hand")

    def _was_bare(self) -> bool:
        """Whether it is gone by the few calls that do where no container has left anything."""
        try:
            for folder in (self.root.joinpath(*TMP), self.root):
                folder.rmdir()
            self._owned.unlink()
            for folder in (self.private, self.top):
                folder.rmdir()
        except OSError:
            return False
        return True

    def _is_removed(self) -> bool:
        """Whether nothing is left; the task's own directory goes with its last attempt."""
        if not self._was_bare() and not remove_tree(self.top):
            return False
        with suppress(OSError):
            self.top.parent.rmdir()
        return True
