"""What a task needs on the host, as data."""

from funnel.core.container import Mount
from funnel.core.task import FileType
from funnel.core.value import Value


class Download(Value):
    """An input to bring from `url` to the container path `path`."""

    url: str
    path: str
    type: FileType


class Content(Value):
    path: str
    text: str


class Plan(Value, kw_only=True):
    """
    All paths are container paths, but for the sources of `mounts`.

    `folders` are writable directories and `files` empty files to make; what lives under the
    attempt's root directory is there at its container path.
    """

    folders: tuple[str, ...]
    files: tuple[str, ...]
    downloads: tuple[Download, ...]
    contents: tuple[Content, ...]
    mounts: tuple[Mount, ...]
