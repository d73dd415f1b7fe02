"""Ways in which a stored row can be damaged, each as an SQL statement with its values."""

import sqlite3
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from itertools import islice, product
from typing import Any

from msgspec import json

Damage = tuple[str, tuple[object, ...]]

GARBAGE = (
    *("", " ", "null", "true", "1", "-1e999", '"x"', "[]", "{}", "[{}]", "{]", "\x00", "{'a': 1}"),
    *("[" * 100_000, '{"a":' * 5000, "x" * 1_000_000, '{"kind":"dance"}', '{"kind":"created"}'),
    *(b"\xff\xfe", b"", b"{}", 7, 1.5),
)
WRONG: tuple[Any, ...] = (None, 5, -1, "x", [], {}, [5], {"a": {}}, True, 1e300, 10**30)
NOT_TEXT = b"{\xff}"
"""To be kept as text, which it is not."""


@dataclass(frozen=True)
class Spot:
    """Where a document is: statements that put another there, as it is and as text."""

    put: str
    put_text: str
    where: tuple[object, ...]


def progress_of(n: int) -> Spot:
    return Spot(
        "UPDATE task SET progress = ? WHERE n = ?",
        "UPDATE task SET progress = CAST(? AS TEXT) WHERE n = ?",
        (n,),
    )


def event_of(n: int, seq: int) -> Spot:
    return Spot(
        "UPDATE event SET body = ? WHERE n = ? AND seq = ?",
        "UPDATE event SET body = CAST(? AS TEXT) WHERE n = ? AND seq = ?",
        (n, seq),
    )


def work_of(number: int) -> Spot:
    return Spot(
        "UPDATE outbox SET work = ? WHERE id = ?",
        "UPDATE outbox SET work = CAST(? AS TEXT) WHERE id = ?",
        (number,),
    )


def of_json(spot: Spot, text: str) -> Iterator[Damage]:
    """What can become of a document: garbage, an end too soon, fields gone or of other types."""
    for garbage in GARBAGE:
        yield spot.put, (garbage, *spot.where)
    yield spot.put_text, (NOT_TEXT, *spot.where)
    for cut in range(1, 8):
        yield spot.put, (text[: len(text) * cut // 8], *spot.where)
    document: dict[str, Any] | list[Any] = json.decode(text)
    ends = document.items() if isinstance(document, dict) else enumerate(document)
    places: list[Any] = [place for place, _ in ends]
    for place, wrong in product(places, WRONG):
        changed: Any = copy(document)
        changed[place] = f"x{spot.where[0]}" if wrong == "x" else wrong
        yield spot.put, (json.encode(changed).decode(), *spot.where)
    for place in places:
        rest: Any = copy(document)
        del rest[place]
        yield spot.put, (json.encode(rest).decode(), *spot.where)


def of_task(db: sqlite3.Connection, n: int) -> Iterator[Damage]:
    """All that can become of the rows of one task, each kind of row in its turn."""
    (progress,) = db.execute("SELECT progress FROM task WHERE n = ?", (n,)).fetchone()
    events = db.execute("SELECT seq, body FROM event WHERE n = ?", (n,)).fetchall()
    kinds = [
        of_json(progress_of(n), progress),
        *(of_json(event_of(n, seq), body) for seq, body in events),
        of_output(n),
        of_row(n),
    ]
    while some := [found for kind in kinds for found in islice(kind, 1)]:
        yield from some


def of_output(n: int) -> Iterator[Damage]:
    statements = (
        "UPDATE output SET stream = ? WHERE n = ?",
        "UPDATE output SET stop = ? WHERE n = ?",
        "UPDATE output SET keep = ? WHERE n = ?",
        "UPDATE output SET text = ? WHERE n = ?",
    )
    for statement, value in product(statements, (b"\xff\x00", "x", -5, 1.5, 10**18, "")):
        yield statement, (value, n)
    yield "UPDATE output SET text = CAST(? AS TEXT) WHERE n = ?", (NOT_TEXT, n)


def of_row(n: int) -> Iterator[Damage]:
    yield "UPDATE task SET id = ? WHERE n = ?", (b"\xff" + str(n).encode(), n)
    yield "DELETE FROM event WHERE n = ?", (n,)
    yield "DELETE FROM event WHERE n = ? AND seq = 1", (n,)
    yield "DELETE FROM output WHERE n = ?", (n,)
    other = "UPDATE task SET progress = json_set(progress, '$[2]', 'PAUSED') WHERE n = ?"
    yield other, (n,)
