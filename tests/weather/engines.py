"""A container engine of its own, to be ended at will: as the tests' scripts start it."""

import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


class PrivateEngine:
    """`cache` is a folder with a short name, for sockets; FLAGs are those of dockerd."""

    def __init__(self, cache: Path) -> None:
        self.host = f"unix://{cache}/funnel/engine/docker.sock"
        self._environment = os.environ | {"XDG_CACHE_HOME": str(cache), "DOCKER_HOST": self.host}

    def start(self, *flags: str) -> None:
        self._script("engine.sh", "start-private", *flags)

    def make_images(self) -> None:
        self._script("images.sh", "demo")

    def crash(self) -> None:
        self._script("engine.sh", "crash")

    def stop(self) -> None:
        self._script("engine.sh", "stop")

    def _script(self, name: str, *words: str) -> None:
        subprocess.run(
            [str(ROOT / "scripts" / name), *words],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=120,
            env=self._environment,
        )
