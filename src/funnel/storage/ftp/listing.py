"""What FTP servers say of files: facts (RFC 3659), or lists as of `ls` or of `dir`."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

from funnel.storage.fileserver import Entry

UNIX: Final = re.compile(
    r"([-dlbcps])[-rwxsStT]{9}\S*\s+\d+\s+\S+\s+\S+\s+(\d+)\s+\w{3}\s+\d{1,2}\s+[\d:]{4,5} (.*)"
)
DOS: Final = re.compile(r"\d\d-\d\d-\d{2,4}\s+\d\d:\d\d[AP]M\s+(<DIR>|\d+)\s+(.*)")
UNKNOWN: Final = -1


def of_facts(line: str) -> Entry | None:
    """
    None for what is neither a file nor a directory below.

    >>> of_facts("type=file;size=7;modify=20240229120000.5; a b").size
    7
    >>> of_facts("type=file; a").size
    -1
    >>> of_facts("type=cdir; .") is None, of_facts("Type=dir;Unique=1; d").unique
    (True, '1')
    """
    told, _, name = line.partition(" ")
    facts = {
        key.lower(): value for key, _, value in (one.partition("=") for one in told.split(";"))
    }
    kind = facts.get("type", "").lower()
    if kind not in {"file", "dir"}:
        return None
    size = facts.get("size", "")
    return Entry(
        name=name,
        is_directory=kind == "dir",
        size=int(size) if size.isdecimal() else UNKNOWN,
        modified=moment(facts.get("modify", "")),
        unique=facts.get("unique", ""),
    )


def of_line(line: str) -> Entry | None:
    """
    None for what is neither a file nor a directory. Raises `ValueError` for an unknown form.

    >>> of_line("-rw-r--r--   1 me   us     12 Nov 28 18:33  a b").name
    ' a b'
    >>> of_line("02-23-05  09:24AM       <DIR>          sub").is_directory
    True
    >>> of_line("lrwxrwxrwx 1 me us 4 Nov 28  2020 a -> b") is None, of_line("total 8") is None
    (True, True)
    """
    if found := UNIX.fullmatch(line):
        if found[1] not in "-d":
            return None
        return Entry(name=found[3], is_directory=found[1] == "d", size=int(found[2]))
    if found := DOS.fullmatch(line):
        is_directory = found[1] == "<DIR>"
        size = 0 if is_directory else int(found[1])
        return Entry(name=found[2], is_directory=is_directory, size=size)
    if line.startswith("total ") or not line.strip():
        return None
    raise ValueError(line)


def moment(text: str) -> datetime | None:
    """
    As in 20240229120000.

    >>> moment("20240229120000").isoformat(), moment("20240231120000"), moment("")
    ('2024-02-29T12:00:00+00:00', None, None)
    """
    try:
        return datetime.strptime(text.partition(".")[0], "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    except ValueError:
        return None


def lines(content: bytes) -> Iterator[str]:
    """Of a list; only line feeds end them, names may have other odd characters."""
    for one in content.split(b"\n"):
        if line := one.removesuffix(b"\r"):
            yield line.decode(errors="surrogateescape")
