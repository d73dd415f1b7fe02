"""What Funnel needs from the world. Each protocol is one extension point."""

from collections.abc import Callable
from datetime import datetime
from typing import TypeAlias

from funnel.ports.around import Around
from funnel.ports.backend import Accept, Answer, Attempt, Backend, Job, Refuse
from funnel.ports.database import (
    Commits,
    Database,
    Documents,
    Feed,
    Live,
    Outbox,
    Overview,
    Record,
    Tasks,
)
from funnel.ports.identity import Credentials, Identity, Login
from funnel.ports.leading import judge, judged_by
from funnel.ports.runtime import Containers, Housekeeping, Images, Runtime, unheard
from funnel.ports.sink import Sink
from funnel.ports.storage import (
    Content,
    Object,
    Piece,
    Places,
    Reading,
    Remover,
    Share,
    Storage,
    Store,
    Sweeper,
    Transfer,
    refuse_twins,
)

Clock: TypeAlias = Callable[[], datetime]

__all__ = [
    "Accept",
    "Answer",
    "Around",
    "Attempt",
    "Backend",
    "Clock",
    "Commits",
    "Containers",
    "Content",
    "Credentials",
    "Database",
    "Documents",
    "Feed",
    "Housekeeping",
    "Identity",
    "Images",
    "Job",
    "Live",
    "Login",
    "Object",
    "Outbox",
    "Overview",
    "Piece",
    "Places",
    "Reading",
    "Record",
    "Refuse",
    "Remover",
    "Runtime",
    "Share",
    "Sink",
    "Storage",
    "Store",
    "Sweeper",
    "Tasks",
    "Transfer",
    "judge",
    "judged_by",
    "refuse_twins",
    "unheard",
]
