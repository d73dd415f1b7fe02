"""Whose tasks may read and write where: an allow-list of places, compared part by part."""

import re
from collections.abc import Callable, Iterable, Iterator
from enum import StrEnum
from functools import lru_cache
from typing import Final
from urllib.parse import unquote

from msgspec.structs import replace

from funnel.core.error import Denied, Invalid
from funnel.core.path import Parts, is_within
from funnel.core.task import Spec
from funnel.core.url import WITH_QUERY, redacted
from funnel.core.value import Value

SETTING: Final = "StorageAccess.Rules"
EVERYBODY: Final = "*"
FILE: Final = "file"
PORTS: Final = {"http": "80", "https": "443", "drs": "443", "ftp": "21", "ftps": "21", "sftp": "22"}
"""Schemes of hosts, which percent signs are decoded in; others have names as they are written."""
DEPTH: Final = 4
"""How often a name may be encoded, one time over the other."""

_AUTHORITY: Final = re.compile(r"[^/?#\\]*")
_HOST: Final = re.compile(r"(?P<name>[a-z0-9*._-]+|\[[0-9a-f:.]+\])(:(?P<port>[0-9]*))?")
_PLAIN: Final = re.compile(r"[A-Za-z0-9._-]+(:[0-9]+)?")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")


class Way(StrEnum):
    READ = "read"
    WRITE = "write"


class Place(Value):
    """
    What a URL names. `host` is the bucket where the scheme has no hosts, and empty for files.

    Two URLs that a store may take for the same have the same place; one that different programs
    read differently has none.
    """

    scheme: str
    host: str
    parts: Parts

    def covers(self, other: "Place") -> bool:
        """Whether the other is this one or lies below it; this `host` may have `*`."""
        return (
            self.scheme == other.scheme
            and is_within(other.parts, self.parts)
            and _has_host(other.host, self.host)
        )


class Rule(Value, kw_only=True):
    """What some users may do, beside what other rules let them; `EVERYBODY` is one of them."""

    users: frozenset[str]
    read: tuple[Place, ...] = ()
    write: tuple[Place, ...] = ()

    def allows(self, user: str, way: Way, place: Place) -> bool:
        if not ({user, EVERYBODY} & self.users):
            return False
        return any(one.covers(place) for one in (self.read if way is Way.READ else self.write))


class StorageRules(Value):
    """Without any, all may go everywhere; else nobody may but where one of them says so."""

    rules: tuple[Rule, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.rules)

    def allows(self, user: str, way: Way, url: str) -> bool:
        try:
            self.demand(user, way, url)
        except Denied:
            return False
        return True

    def demand(self, user: str, way: Way, url: str) -> None:
        """Raises `Denied`."""
        if not self.rules:
            return
        try:
            place = place_of(url)
        except Invalid as error:
            raise Denied(f"{error}, and {SETTING} cannot judge that") from error
        if not any(one.allows(user, way, place) for one in self.rules):
            raise Denied(
                f"{user or 'a task of nobody'} may not {way} {redacted(url)}: no rule in {SETTING}"
                " allows it"
            )

    def with_real(self, real: Callable[[str], str]) -> "StorageRules":
        """The same, where directories of this machine have their real paths as well."""

        def both(places: Iterable[Place]) -> tuple[Place, ...]:
            return tuple(dict.fromkeys(each for one in places for each in _with_real(one, real)))

        return StorageRules(
            tuple(replace(one, read=both(one.read), write=both(one.write)) for one in self.rules)
        )


NO_RULES: Final = StorageRules()


def demand_all(rules: StorageRules, user: str, spec: Spec) -> None:
    """Raises `Denied`, with the name of the first field that names what `user` may not reach."""
    if not rules:
        return
    read = [(f"inputs[{at}].url", Way.READ, one.url) for at, one in enumerate(spec.inputs)]
    write = [(f"outputs[{at}].url", Way.WRITE, one.url) for at, one in enumerate(spec.outputs)]
    for field, way, url in (*read, *write):
        try:
            if url:
                rules.demand(user, way, url)
        except Denied as error:
            raise Denied(f"{field}: {error}") from error


def place_of(url: str) -> Place:
    """
    Raises `Invalid` for what can be read in more than one way.

    >>> place_of("https://Me:x@Example.ORG:443/a%20b?x") == place_of("https://example.org/a b")
    True
    >>> place_of("s3://lab/run 1/x").parts
    ('run 1', 'x')
    """
    if _CONTROL.search(url):
        raise Invalid(f"{redacted(url)!r} has control characters")
    if url.startswith("/"):
        return Place(FILE, "", _file_parts(url, url))
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    authority = (_AUTHORITY.match(rest) or [""])[0]
    path = rest[len(authority) :]
    if not separator or not scheme:
        raise Invalid(f"{redacted(url)} is neither a URL nor an absolute path")
    if scheme == FILE:
        if authority or not path.startswith("/"):
            raise Invalid(f"{redacted(url)} is of another machine; file URLs have three slashes")
        return Place(FILE, "", _file_parts(path, url))
    host = _host(scheme, authority, url) if scheme in PORTS else authority
    return Place(scheme, host, _parts(scheme, path, url))


def prefix_of(text: str) -> Place:
    """What a rule names; its host may have `*`. Raises `Invalid`."""
    place = place_of(text)
    if "*" in "".join(place.parts):
        raise Invalid(f"{text!r}: what lies below is meant as well, so leave out the * at its end")
    if not place.host and place.scheme != FILE:
        raise Invalid(f"{text!r} names no bucket or host; {place.scheme}://*/ is each of them")
    return replace(place, parts=place.parts[:-1] if place.parts[-1:] == ("",) else place.parts)


def local_path(url: str) -> str:
    """The path of a file of this machine; empty for what is elsewhere."""
    if url.startswith("/"):
        return url
    scheme, separator, path = url.partition("://")
    return path if separator and scheme.lower() == FILE else ""


def _file_parts(path: str, url: str) -> Parts:
    """The system takes `//` and `/./` for `/`."""
    return tuple(one for one in _checked(path, url) if one not in ("", "."))


def _parts(scheme: str, path: str, url: str) -> Parts:
    if scheme in WITH_QUERY:
        path = re.split(r"[?#]", path, maxsplit=1)[0]
    found = _checked(path, url)
    if "." in found:
        raise Invalid(f"{redacted(url)} has a part that is a dot")
    if scheme in PORTS:
        return tuple(unquote(one, errors="surrogateescape") for one in found)
    return tuple(found)


def _checked(path: str, url: str) -> list[str]:
    found = path.removeprefix("/").split("/") if path not in ("", "/") else []
    for part in found:
        for said in _readings(part, url):
            if said == ".." or "\\" in said or (said != part and _is_more(said)):
                raise Invalid(f"{redacted(url)} can be read in more than one way")
    return found


def _readings(part: str, url: str) -> Iterator[str]:
    """As it is written, and what it becomes each time that somebody decodes it."""
    for _ in range(DEPTH):
        yield part
        decoded = unquote(part)
        if decoded == part:
            return
        part = decoded
    raise Invalid(f"{redacted(url)} is encoded many times over")


def _is_more(decoded: str) -> bool:
    """Whether it is not one name any more."""
    return decoded in (".", "") or "/" in decoded or bool(_CONTROL.search(decoded))


def _host(scheme: str, authority: str, url: str) -> str:
    """Lower case, without its default port. Who logs in there says nothing about the place."""
    before, _, host = authority.rpartition("@")
    found = _HOST.fullmatch(host.lower())
    if not found or "@" in before:
        raise Invalid(f"{redacted(url)} has no host that all programs read alike")
    name, port = found["name"].rstrip("."), found["port"]
    return f"{name}:{port}" if port and port != PORTS[scheme] else name


def _has_host(host: str, pattern: str) -> bool:
    if "*" not in pattern:
        return host == pattern
    return bool(_PLAIN.fullmatch(host) and _pattern(pattern).fullmatch(host))


@lru_cache(1024)
def _pattern(host: str) -> re.Pattern[str]:
    return re.compile("[^:]*".join(map(re.escape, host.split("*"))))


def _with_real(place: Place, real: Callable[[str], str]) -> Iterator[Place]:
    yield place
    if place.scheme == FILE:
        yield place_of(real("/" + "/".join(place.parts)))
