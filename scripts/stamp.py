"""Says in a wheel what it was built of, where that is a checkout: a hook of hatchling."""

import json
import subprocess
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

EDITABLE = "editable"


class Stamp(BuildHookInterface[Any]):
    """Not where the checkout itself is installed: its commits go on, and the stamp would not."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == EDITABLE or not (Path(self.root) / ".git").exists():
            return
        facts = {
            "git commit": self._git("rev-parse", "HEAD"),
            "git branch": self._git("rev-parse", "--abbrev-ref", "HEAD"),
        }
        folder = Path(self.directory)
        folder.mkdir(parents=True, exist_ok=True)
        stamp = folder / "built.json"
        stamp.write_text(json.dumps({name: value for name, value in facts.items() if value}))
        build_data["force_include"][str(stamp)] = "funnel/built.json"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        del version, build_data, artifact_path
        (Path(self.directory) / "built.json").unlink(missing_ok=True)

    def _git(self, *words: str) -> str:
        """Empty where git is not there, or does not know."""
        try:
            said = subprocess.run(
                ["git", *words], cwd=self.root, capture_output=True, text=True, check=True
            )
        except (OSError, subprocess.CalledProcessError):
            return ""
        return said.stdout.strip()
