"""What runs containers on this machine."""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import IO, Protocol

from funnel.core.container import Chunk, Container, Exited, Found, Stream
from funnel.core.task import TaskId


class Images(Protocol):
    async def pull(self, image: str) -> None:
        """
        See to it that the image is here, by the policy of the settings.

        Calls for one image share one pull. Raises, with the engine's words, `NotFound` for one
        that we cannot have, and `Unavailable` where another time may do.
        """
        ...

    async def has_path(self, image: str, path: str) -> bool:
        """Whether the image, which is here, has this path. Remembered by image and path."""
        ...


def unheard() -> None:
    """For who need not be told."""


class Containers(Protocol):
    """
    Containers by the id the engine gave them. Raises `Unavailable` when it does not answer.

    A container outlives the caller: whoever comes back finds it by its labels and goes on.
    """

    async def create(self, container: Container) -> str:
        """
        Make a container without starting it, and return its id.

        One of that name and those labels that is there already is taken as it is. Raises
        `CannotStart` where what the task asks is at fault.
        """
        ...

    async def start(self, container_id: str) -> None:
        """Start, or leave running. Raises `CannotStart`."""
        ...

    async def feed(
        self, container_id: str, stdin: IO[bytes], *, fed: Callable[[], object] = unheard
    ) -> None:
        """
        Write the file to its standard input and close that; a closed pipe is no error.

        `fed` is called once the engine has all of it, and needs us no more.
        """
        ...

    def follow(self, container_id: str, *, skip: Mapping[Stream, int]) -> AsyncIterator[Chunk]:
        """What it writes until it ends, less the first `skip` bytes of each stream."""
        ...

    async def wait(self, container_id: str) -> Exited:
        """How it ended, once it has. Raises `NotFound` when it is gone."""
        ...

    async def stop(self, container_id: str, *, grace: timedelta) -> None:
        """TERM, then KILL after `grace`; one that has ended or is gone is no error."""
        ...


class Housekeeping(Protocol):
    async def remove(self, container_id: str, *, grace: timedelta) -> None:
        """Stop it, with no TERM where `grace` is nothing, and remove it; gone is no error."""
        ...

    async def found(self, *, task_id: TaskId | None = None) -> Sequence[Found]:
        """The containers with our deployment label, of one task or of all."""
        ...

    async def erase(self, directory: Path, image: str) -> None:
        """Delete what is in a directory, even files of a container's root; `image` is at hand."""
        ...

    async def describe(self) -> str:
        """Engine and version, for people. Raises `Unavailable`."""
        ...


class Runtime(Images, Containers, Housekeeping, Protocol):
    """Runs containers on this machine."""

    @property
    def has_files(self) -> bool:
        """False where containers see no files and print nothing, so that none are made for them."""
        ...
