"""Pins every package with its hashes.

`lock.py` writes requirements/*.lock, `lock.py --check` says whether they fit pyproject.toml.
The check is offline and takes no time: each lock carries a digest of what it was made from.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = ROOT / "pyproject.toml"
DIGEST = "# made by `make lock` from dependencies with digest "

# What runs Funnel, with what builds it; then all that developing it takes, at the same versions.
RUN = ROOT / "requirements" / "run.lock"
DEV = ROOT / "requirements" / "dev.lock"


def main() -> int:
    digest = _digest()
    if "--check" in sys.argv[1:]:
        return _check(digest)
    _compile(RUN, digest, "--group", "build")
    _compile(
        DEV, digest, "--group", "build", "--group", "dev", "--all-extras", "--constraint", str(RUN)
    )
    return 0


def _check(digest: str) -> int:
    stale = [lock.name for lock in (RUN, DEV) if not lock.read_text().startswith(DIGEST + digest)]
    if stale:
        print(f"pyproject.toml has other dependencies than {', '.join(stale)}: run make lock")
    return len(stale)


def _digest() -> str:
    """Covers what the resolver reads, and nothing else of pyproject.toml."""
    table = tomllib.loads(PROJECT.read_text())
    project = table["project"]
    names = ("requires-python", "dependencies", "optional-dependencies")
    read = [project.get(name) for name in names] + [table["dependency-groups"]]
    return hashlib.sha256(json.dumps(read, sort_keys=True).encode()).hexdigest()[:16]


def _compile(lock: Path, digest: str, *options: str) -> None:
    command = [
        _uv(),
        *("pip", "compile", str(PROJECT), "--universal", "--python-version", "3.11", "--upgrade"),
        *("--generate-hashes", "--no-header", "--no-annotate", "--quiet"),
        *("--no-emit-index-url", "--no-emit-find-links", *options),
    ]
    pins = subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE).stdout
    lock.parent.mkdir(exist_ok=True)
    lock.write_text(f"{DIGEST}{digest}\n{pins}")


def _uv() -> str:
    """Finds uv, or gets it for this one job: nothing else needs it."""
    if found := shutil.which("uv"):
        return found
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", "uv"], check=True)
    return str(Path(sys.executable).with_name("uv"))


if __name__ == "__main__":
    sys.exit(main())
