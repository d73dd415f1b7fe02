"""What the server says of itself: service-info, health, metrics and its OpenAPI document."""

import logging
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from msgspec import json

from funnel.api.answer import JSON, Answer
from funnel.api.info import write_info, write_legacy_info
from funnel.api.request import Request
from funnel.api.routes import Endpoint, Route
from funnel.core.error import FunnelError
from funnel.core.info import ServiceInfo
from funnel.metrics import CONTENT_TYPE, Metrics
from funnel.ports import Overview

log = logging.getLogger(__name__)


def openapi(version: str) -> bytes:
    """Our OpenAPI document, as this version of the program serves it."""
    text = files("funnel.api").joinpath("openapi.json").read_bytes()
    document: dict[str, Any] = json.decode(text)
    document["info"]["version"] = version
    return json.encode(document)


class AboutDoor:
    """What does not change is written once, at the start."""

    def __init__(self, info: ServiceInfo, overview: Overview, metrics: Metrics) -> None:
        self._info = info
        self._overview = overview
        self._metrics = metrics

    def tes_routes(self) -> Mapping[str, Route]:
        return _routes(
            {
                "/service-info": _always(write_info(self._info)),
                "/tasks/service-info": _always(write_legacy_info(self._info)),
            }
        )

    def own_routes(self) -> Mapping[str, Route]:
        return _routes(
            {
                "/healthz": self.health,
                "/health.html": _always(b"OK\n", "text/html; charset=utf-8"),
                "/metrics": self.metrics,
                "/openapi.json": _always(openapi(self._info.version)),
            }
        )

    async def health(self, _request: Request) -> Answer:
        counts = self._metrics.log_counts
        fields = {name: getattr(counts, name) for name in counts.__struct_fields__}
        health = {
            "status": "OK",
            "runtime_answers": self._metrics.runtime_is_up,
            "log_metrics": fields,
        }
        return Answer(json.encode(health))

    async def metrics(self, _request: Request) -> Answer:
        try:
            self._metrics.counted(await self._overview.counts())
        except (FunnelError, OSError):
            log.exception("tasks could not be counted for the metrics")
        return Answer(self._metrics.exposition(), kind=CONTENT_TYPE)


def _routes(endpoints: Mapping[str, Endpoint]) -> Mapping[str, Route]:
    return {path: Route(path, {"GET": endpoint}) for path, endpoint in endpoints.items()}


def _always(body: bytes, kind: str = JSON) -> Endpoint:
    async def endpoint(_request: Request) -> Answer:
        return Answer(body, kind=kind)

    return endpoint
