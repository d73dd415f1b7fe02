"""From text to settings: strict about names, kind about mistakes, all of them at once."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import ValidationError

from funnel.config.leaf import Raw, mappings, read_leaf
from funnel.config.reference import Names, below, lookup
from funnel.config.shape import Key, Shape, is_section, list_of, near, plain, sections_of, shape
from funnel.core.error import Invalid, Problem
from funnel.core.value import Value


class Partial(dict[str, Any]):
    """The settings of a section that were given, by field."""


class Reader:
    """Reads what one source says, and collects what is wrong with it."""

    def __init__(self, origin: str) -> None:
        self.origin = origin
        """How people know the source; empty for the flags."""
        self.problems: list[Problem] = []
        self.ignored: list[str] = []
        """Settings that we know and do not support yet, by their paths."""

    def section(
        self, given: Mapping[str, Raw], known: Shape, elsewhere: Names, path: tuple[str, ...] = ()
    ) -> Partial:
        """`elsewhere` are the settings that are not ours but may be here."""
        found = Partial()
        for name, raw in given.items():
            key = known.get(plain(name))
            if key is None:
                self._not_ours(name, raw, known, elsewhere, path)
            elif key.name in found:
                self._wrong((*path, key.display), f"is given twice, the second time as {name}")
            elif raw is not None:
                self._setting(key, raw, elsewhere, path, found)
        return found

    def _setting(
        self, key: Key, raw: Raw, elsewhere: Names, path: tuple[str, ...], found: Partial
    ) -> None:
        here = (*path, key.display)
        try:
            if of := sections_of(key.type):
                found[key.name] = tuple(
                    self.section(one, shape(of), {}, (*path, f"{key.display}[{number}]"))
                    for number, one in enumerate(mappings(raw))
                )
            elif not is_section(key.type):
                found[key.name] = read_leaf(raw, key.type)
            elif isinstance(raw, dict):
                also = below(elsewhere, key.display)
                found[key.name] = self.section(raw, shape(key.type), also, here)
            else:
                self._wrong(here, "is a section: write its settings below it")
        except Invalid as error:
            self._wrong(here, str(error))

    def _not_ours(
        self, name: str, raw: Raw, known: Shape, elsewhere: Names, path: tuple[str, ...]
    ) -> None:
        theirs = lookup(elsewhere, name)
        if theirs is None:
            names = [*(key.display for key in known.values()), *elsewhere]
            self._wrong((*path, name), f"is not a setting{near(name, names)}")
            return
        self._check(raw, elsewhere[theirs], (*path, theirs))
        if not _is_blank(raw):
            self.ignored.append(".".join((*path, theirs)))

    def _check(self, raw: Raw, names: "Names | None", path: tuple[str, ...]) -> None:
        """Misspelt names are mistakes in what we ignore, too."""
        if names is None:
            return
        for one in raw if isinstance(raw, list) else [raw]:
            for name, inner in one.items() if isinstance(one, dict) else ():
                theirs = lookup(names, name)
                if theirs is None:
                    self._wrong((*path, name), f"is not a setting{near(name, names)}")
                else:
                    self._check(inner, names[theirs], (*path, theirs))

    def _wrong(self, path: tuple[str, ...], what: str) -> None:
        where = f" ({self.origin})" if self.origin else ""
        self.problems.append(Problem(".".join(path), what + where))


def merged(parts: Sequence[Partial]) -> Partial:
    """Later parts win, setting by setting; lists and mappings are replaced, not extended."""
    result = Partial()
    for part in parts:
        for name, value in part.items():
            old = result.get(name)
            result[name] = (
                merged([old, value])
                if isinstance(old, Partial) and isinstance(value, Partial)
                else value
            )
    return result


def section(cls: type[Value], given: Any, name: str) -> Value:
    """The settings of a section at the top. Raises `Invalid`."""
    if entries := list_of(cls):
        return cls(*[_built(entries, () if given is None else given, name)])
    return build(cls, Partial() if given is None else given, name)


def build(cls: type[Value], given: Partial, where: str) -> Value:
    """The settings, with defaults for what was not given. Raises `Invalid`."""
    kinds = {key.name: key for key in shape(cls).values()}
    values = {
        name: _built(kinds[name], value, f"{where}.{kinds[name].display}")
        for name, value in given.items()
    }
    try:
        return cls(**values)
    except (TypeError, ValueError, ValidationError) as error:
        raise Invalid(f"{where}: {error}") from error


def _built(key: Key, value: Any, where: str) -> Any:
    if isinstance(value, Partial):
        return build(key.type, value, where)
    if of := sections_of(key.type):
        return tuple(build(of, one, f"{where}[{number}]") for number, one in enumerate(value))
    return value


def _is_blank(raw: Raw) -> bool:
    """Whether nothing is said, as in the empty fields of an example to fill in."""
    if isinstance(raw, dict):
        return all(map(_is_blank, raw.values()))
    if isinstance(raw, list):
        return all(map(_is_blank, raw))
    return raw is None or raw.lower() in {"", "false", "0"}
