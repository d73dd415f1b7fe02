"""Writes src/funnel/wire/gen/ from wire/proto/; `proto.py --check` says whether they fit."""

import re
import subprocess
import sys
import tempfile
from filecmp import dircmp
from pathlib import Path
from shutil import copytree, rmtree

WIRE = Path(__file__).resolve().parent.parent / "src" / "funnel" / "wire"
PROTO = WIRE / "proto"
GEN = WIRE / "gen"
PACKAGE = "funnel.wire.gen"

IMPORTED = re.compile(r"^import (\w+_pb2)\b", re.MULTILINE)
"""How the compiler has generated modules import each other: as if they were in no package."""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        _make(made)
        if "--check" in sys.argv[1:]:
            return _check(made)
        rmtree(GEN, ignore_errors=True)
        copytree(made, GEN)
    return 0


def _make(into: Path) -> None:
    command = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTO}"]
    kinds = ("python", "grpc_python", "mypy", "mypy_grpc")
    options = [f"--{kind}_out={'quiet:' if 'mypy' in kind else ''}{into}" for kind in kinds]
    plugins = [
        f"--plugin=protoc-gen-{name}={_beside_python(name)}" for name in ("mypy", "mypy_grpc")
    ]
    subprocess.run(
        [*command, *options, *plugins, *map(str, sorted(PROTO.glob("*.proto")))], check=True
    )
    for one in into.iterdir():
        one.write_text(IMPORTED.sub(rf"from {PACKAGE} import \1", one.read_text()))
    (into / "__init__.py").write_text(
        '"""Made by `make proto`: change wire/proto, never this."""\n'
    )


def _beside_python(name: str) -> Path:
    return Path(sys.executable).with_name(f"protoc-gen-{name}")


def _check(made: Path) -> int:
    found = dircmp(made, GEN, ignore=["__pycache__"])
    wrong = [*found.left_only, *found.right_only, *found.diff_files]
    if wrong:
        print(f"wire/gen is not what wire/proto gives ({', '.join(wrong)}): run make proto")
    return len(wrong)


if __name__ == "__main__":
    sys.exit(main())
