"""What each route is, in the words of `core.access`."""

from collections.abc import Mapping
from typing import Final, TypeAlias

from funnel.core.access import Operation

Table: TypeAlias = Mapping[str, Mapping[str, Operation | None]]

OPEN: Final = None
"""For everybody, whoever it is."""

OPERATIONS: Final[Table] = {
    "/tasks": {"GET": Operation.LIST_TASKS, "POST": Operation.CREATE_TASK},
    "/tasks/{id}": {"GET": Operation.GET_TASK, "DELETE": Operation.DELETE_TASK},
    "/tasks/{id}:cancel": {"POST": Operation.CANCEL_TASK},
    "/tasks/{id}/logs": {"GET": Operation.FOLLOW_TASKS},
    "/tasks/{id}/events": {"GET": Operation.FOLLOW_TASKS},
    "/events": {"GET": Operation.FOLLOW_TASKS},
    "/service-info": {"GET": Operation.SERVICE_INFO},
    "/tasks/service-info": {"GET": Operation.SERVICE_INFO},
    "/openapi.json": {"GET": Operation.SERVICE_INFO},
    "/metrics": {"GET": Operation.METRICS},
    "/login": {"GET": OPEN},
    "/login/token": {"GET": OPEN, "DELETE": OPEN},
    "/healthz": {"GET": OPEN},
    "/health.html": {"GET": OPEN},
}
"""By template and method. Nobody gets through to a route that has no row here."""

OPEN_METRICS: Final[Table] = {**OPERATIONS, "/metrics": {"GET": OPEN}}
