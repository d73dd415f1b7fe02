"""
Finding a page of tasks: the rarest of the terms leads.

What is about as rare is met with it as a list of numbers, and what is common is looked up.
"""

import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from operator import itemgetter
from typing import LiteralString, TypeAlias

from msgspec import json

from funnel.core.error import Invalid
from funnel.core.query import Listing, Query, Scope, View
from funnel.core.task import TaskId
from funnel.core.value import Value
from funnel.database.damage import reading
from funnel.database.paging import place, token
from funnel.database.rows import READ, Made, Row, read_rows
from funnel.database.shown import Shown
from funnel.database.sql import statements

SQL = statements("search.sql")
MOST_TERMS = 64
SPAN = 512
"""So many candidates are looked at first, and up to four times as many in each further step."""
WORK = 8192
"""After so much a page is given as it is, with a token to go on from there: a few milliseconds."""
PROBE = 6
"""Looking one number up in an index is as much work as so many in a list."""
ROW = 12
"""The same for the row of a task."""
NEAR = 4
"""Terms with up to so many times the candidates are listed."""
NEWEST = 2**63 - 1
"""Above the number of any task."""
WITHOUT_END = b""
"""SQLite sorts any bytes after all text."""

Which: TypeAlias = tuple[str, tuple[str, ...]]
"""What leads to tasks, and what is checked of each: names of clauses."""
Given: TypeAlias = Sequence[str | bytes | int]
"""The values for them."""


class Term(Value):
    """One thing that is asked for; `kind` names its clauses."""

    kind: str
    values: tuple[str | bytes, ...] = ()


class Lead(Value):
    """A term with an index, newest first, and the terms that need no further look with it."""

    term: Term
    covers: tuple[Term, ...]


class Window(Value):
    """The numbers from `floor` to before `after`."""

    after: int
    floor: int


_ORDERS: Mapping[str, str] = {"all": "newest_of_all"}
_NUMBERS = json.Decoder(list[int])
_COLUMNS: Mapping[View, str] = {
    View.BASIC: "basic",
    View.FULL: "full",
}


def search(db: sqlite3.Connection, query: Query, shown: Shown) -> Listing:
    """Raises `Invalid` for a token that is not ours, or too many tags at once."""
    terms = (*_terms(query),)
    if len(terms) > MOST_TERMS:
        raise Invalid(f"tag_key: {len(query.tags)} tags are too many to ask for at once")
    if not terms and query.view is View.MINIMAL:
        return _page(db, query)
    with _one_moment(db):
        after = _after(db, query, terms)
        rows, end = (_walk if terms else _newest)(db, query, terms, after)
        page = rows[: query.page_size]
        if len(rows) > len(page):
            end = page[-1][0]
        made = page if query.view is View.MINIMAL else _documents(db, query.view, page, shown)
    return Listing(b",".join([document for _, document in made]), token(end) if end else "")


def _page(db: sqlite3.Connection, query: Query) -> Listing:
    """A page of the minimal view where nothing is asked for; its JSON is made by SQLite."""
    given = (place(query.page_token) if query.page_token else NEWEST, query.page_size)
    text, last, has_more = reading(
        lambda: db.execute(SQL["page"], given).fetchone(),
        lambda: _numbers(db, ("all", ()), given),
    )
    return Listing(text[1:-1].encode(), token(last) if has_more else "")


def _after(db: sqlite3.Connection, query: Query, terms: Sequence[Term]) -> int:
    """The number below which the page begins. Terms are looked for from a true one down."""
    if query.page_token:
        return place(query.page_token)
    return _number(db, "newest", ()) if terms else NEWEST


@contextmanager
def _one_moment(db: sqlite3.Connection) -> Generator[None]:
    """What is read within is as of one commit, and a number stands for one task only."""
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("COMMIT")


def find(
    db: sqlite3.Connection, task_id: TaskId, view: View, scope: Scope, shown: Shown
) -> bytes | None:
    """
    The document of a task, made anew; None where it is absent or out of scope.

    Not for the minimal view, whose document comes with the look by itself.
    """
    made = [*_made(db, view, *_the_one(task_id, scope))]
    for n, progress, document in made:
        shown.put(view, n, progress, document)
    return made[0][2] if made else None


def look_up(db: sqlite3.Connection, task_id: TaskId, view: View, scope: Scope) -> list[Row]:
    """
    The number of a task, and its progress as it is stored; nothing where it is out of scope.

    For the minimal view it comes with that, its document.
    """
    return _read(db, _found(view), *_the_one(task_id, scope))


def _the_one(task_id: TaskId, scope: Scope) -> tuple[Which, Given]:
    if scope.owner is None:
        return ("id", ()), (task_id, 1)
    return ("own", ()), (task_id, task_id, scope.owner, 1)


def _documents(db: sqlite3.Connection, view: View, seen: Sequence[Row], shown: Shown) -> list[Row]:
    """Those that were shown before as they were, the others made; what is gone is left out."""
    found = {n: shown.get(view, n, progress) for n, progress in seen}
    unknown = [n for n, document in found.items() if document is None]
    if unknown:
        given = (str(unknown), len(unknown))
        for n, progress, document in _made(db, view, ("some", ()), given):
            shown.put(view, n, progress, document)
            found[n] = document
    return [(n, document) for n, document in found.items() if document is not None]


def _made(db: sqlite3.Connection, view: View, which: Which, given: Given) -> list[Made]:
    """Raises `Damaged` where one of them cannot be read."""

    def make() -> list[Made]:
        (text,) = db.execute(_joined(_COLUMNS[view], *which), given).fetchone()
        return [*READ[view](text)]

    return reading(make, partial(_numbers, db, which, given))


def _numbers(db: sqlite3.Connection, which: Which, given: Given) -> list[int]:
    return [n for (n,) in db.execute(_joined("numbers", *which), given)]


def has_many_events(db: sqlite3.Connection, n: int) -> bool:
    """Whether the full view of a task takes long to read."""
    return bool(_number(db, "many_events", (n,)))


def _newest(
    db: sqlite3.Connection, query: Query, _terms: tuple[Term, ...], after: int
) -> tuple[list[Row], int]:
    """As `_walk`, where nothing is asked for."""
    given = (after, query.page_size + 1)
    return _read(db, _found(query.view), ("all", ()), given), 0


def _walk(
    db: sqlite3.Connection, query: Query, terms: tuple[Term, ...], after: int
) -> tuple[list[Row], int]:
    """
    Up to one task more than a page, and how far down we looked; 0 is to the end.

    Terms that many tasks have each, and few all of them, must not keep others waiting.
    """
    wanted = query.page_size + 1
    rows, worked, span = list[Row](), 0, max(SPAN, wanted)
    while True:
        # Chosen anew at each step: what is rare among the new may be common among the old.
        floor, lead = _sparsest(db, terms, after, span)
        numbers, common, listed = _meet(db, lead, terms, Window(after, floor))
        found = _matching(db, query.view, numbers, common, wanted - len(rows))
        rows += found
        probe = sum(ROW if term.kind == "name" else PROBE for term in common)
        work = listed + (len(numbers) - len(found)) * probe
        worked += work
        if len(rows) >= wanted or not floor or worked >= WORK:
            return rows, floor
        most = span * (WORK - worked) // max(work, 1)
        after, span = floor, max(SPAN, min(span * 4, most))


def _meet(
    db: sqlite3.Connection, lead: Lead, terms: tuple[Term, ...], window: Window
) -> tuple[list[int], list[Term], int]:
    """
    The numbers, newest first, that match all terms but the common ones, and these.

    The third is how many numbers were listed.
    """
    candidates = _listed(db, lead.term, window)
    numbers, common, listed = set(candidates), list[Term](), len(candidates)
    for term in terms:
        if term in lead.covers:
            continue
        most = len(numbers) * NEAR
        others = _listed(db, term, window, most + 1)
        listed += len(others)
        if len(others) > most:
            common.append(term)
        else:
            numbers.intersection_update(others)
    return sorted(numbers, reverse=True), common, listed


def _listed(db: sqlite3.Connection, term: Term, window: Window, most: int = -1) -> list[int]:
    """The numbers of a term; without `most`, all."""
    given = (*term.values, window.after, window.floor, most)
    (text,) = db.execute(SQL[f"list_{term.kind}"], given).fetchone()
    return _NUMBERS.decode(text)


def _matching(
    db: sqlite3.Connection, view: View, numbers: list[int], common: list[Term], limit: int
) -> list[Row]:
    """
    A whole page comes as one row of JSON, so that a reading thread gives way only once.

    The rows are those of `look_up`.
    """
    if not numbers:
        return []
    some = numbers if common else numbers[:limit]
    given = [str(some), *(value for term in common for value in term.values), limit]
    which = ("some", tuple(term.kind for term in common))
    return _read(db, _found(view), which, given)


def _read(db: sqlite3.Connection, columns: str, which: Which, given: Given) -> list[Row]:
    """Raises `Damaged` where one of them cannot be read."""

    def look() -> list[Row]:
        (text,) = db.execute(_joined(columns, *which), given).fetchone()
        return read_rows(text)

    return reading(look, partial(_numbers, db, which, given))


def _found(view: View) -> str:
    return "minimal" if view is View.MINIMAL else "seen"


@lru_cache(256)
def _joined(columns: str, lead: str, checks: tuple[str, ...]) -> LiteralString:
    order = _ORDERS.get(lead, "as_given")
    names = (columns, f"among_{lead}", *(f"check_{kind}" for kind in checks), order)
    return " ".join([SQL[name] for name in names])


def _sparsest(
    db: sqlite3.Connection, terms: tuple[Term, ...], after: int, span: int
) -> tuple[int, Lead]:
    """The lead whose next `span` candidates reach furthest down, and how far that is."""
    floors = [(_floor(db, lead.term, after, span), lead) for lead in _leads(terms)]
    return min(floors, key=itemgetter(0))


def _floor(db: sqlite3.Connection, term: Term, after: int, span: int) -> int:
    return _number(db, f"floor_{term.kind}", (*term.values, after, span))


def _number(db: sqlite3.Connection, name: str, given: Sequence[object]) -> int:
    row = db.execute(SQL[name], given).fetchone()
    return int(row[0]) if row else 0


def _leads(terms: tuple[Term, ...]) -> Iterator[Lead]:
    both = tuple(term for term in terms if term.kind in {"owner", "state"})
    if len(both) == 2:
        owner, state = both
        yield Lead(Term("owner_and_state", owner.values + state.values), both)
    for term in terms:
        if len(both) < 2 or term not in both:
            yield Lead(term, (term,))


def _terms(query: Query) -> Iterator[Term]:
    if query.scope.owner is not None:
        yield Term("owner", (query.scope.owner,))
    if query.state is not None:
        yield Term("state", (query.state.value,))
    if query.name_prefix:
        yield Term("name", (query.name_prefix, after_prefix(query.name_prefix)))
    for key, value in dict.fromkeys(query.tags):
        yield Term("tag", (key, value)) if value else Term("tag_key", (key,))


def after_prefix(prefix: str) -> str | bytes:
    """
    What sorts after all texts that begin so, and before all others that do.

    >>> after_prefix("abc")
    'abd'
    """
    head = prefix.rstrip(chr(0x10FFFF))
    if not head:
        return WITHOUT_END
    last = ord(head[-1]) + 1
    return head[:-1] + chr(0xE000 if last == 0xD800 else last)
