"""What the engine knows about one container."""

from collections.abc import Mapping
from typing import Final

from msgspec import field

from funnel.core.container import LABEL_DEPLOYMENT
from funnel.core.error import NotFound
from funnel.core.value import Value
from funnel.runtime.engine import Engine, Refusal

GONE: Final = 404
OURS: Final = LABEL_DEPLOYMENT.partition(".")[0] + "."


class State(Value, rename="pascal", kw_only=True):
    status: str
    exit_code: int = 0
    error: str = ""
    pid: int = 0
    oom_killed: bool = field(name="OOMKilled", default=False)

    @property
    def ended(self) -> bool:
        return self.status in {"exited", "dead", "stopped"}

    @property
    def waiting(self) -> bool:
        """It has not been started yet."""
        return self.status in {"created", "configured", "initialized"}


class _Config(Value, rename="pascal"):
    labels: Mapping[str, str] | None = None


class Inspected(Value, rename="pascal"):
    id: str
    state: State
    config: _Config

    def is_labelled(self, labels: Mapping[str, str]) -> bool:
        """Whether it has these labels, and of our kind no others; the image's own do not count."""
        theirs = self.config.labels or {}
        ours = {name for name in theirs if name.startswith(OURS)}
        return ours <= labels.keys() and labels.items() <= theirs.items()


async def inspect(engine: Engine, container: str) -> Inspected:
    """A container by id or name. Raises `NotFound`."""
    try:
        return await engine.get(f"/containers/{container}/json", Inspected)
    except Refusal as refusal:
        if refusal.status == GONE:
            raise NotFound(f"no container {container}") from refusal
        raise
