"""URLs that give access, kept beside the events, which anybody may read who sees the task."""

import sqlite3
from typing import Final

from msgspec import json
from msgspec.structs import replace

from funnel.core.event import Created
from funnel.core.hiding import Secrets, secrets_of, whole, without
from funnel.core.task import TaskId
from funnel.database.damage import UNREADABLE
from funnel.database.packed import Whose, pack_created, read_created, read_spec

_SECRETS: Final = json.Decoder(Secrets)
_NOBODY: Final = Whose(TaskId(""), "", "")


def stored(secrets: Secrets) -> str:
    return json.encode(secrets).decode()


def given(created: Created, text: bytes | None) -> Created:
    """As the task was given; what cannot be read is left hidden, and its store says so."""
    if text is None:
        return created
    try:
        return replace(created, spec=whole(created.spec, _SECRETS.decode(text)))
    except UNREADABLE:
        return created


def teach(db: sqlite3.Connection) -> None:
    """Functions for a schema that takes them out of the events of before."""
    db.create_function("secrets_of", 1, _secrets_of, deterministic=True)
    db.create_function("without_secrets", 1, _without, deterministic=True)


def _secrets_of(body: str) -> str | None:
    try:
        secrets = secrets_of(read_spec(body))
    except UNREADABLE:
        return None
    return stored(secrets) if secrets else None


def _without(body: str) -> str:
    created = read_created(_NOBODY, body.encode())
    shown = replace(created, spec=without(created.spec, secrets_of(created.spec)))
    return json.encode(shown).decode() if body[:1] == "{" else pack_created(shown).body
