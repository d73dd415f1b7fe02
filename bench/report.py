"""Telling the rows: on the screen as they come, and in `results.md` when all are there."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.measure import Row

RESULTS = Path(__file__).parent / "results.md"
HEADS = ("work", "aim", "figure", "from, to", "", "beside it")
WIDTHS = (46, 12, 12, 17, 6, 0)


def show(row: Row) -> None:
    cells = zip(row.cells, WIDTHS, strict=True)
    print("  ".join(f"{cell:{width}}" for cell, width in cells).rstrip(), flush=True)


def heads() -> None:
    cells = zip(HEADS, WIDTHS, strict=True)
    print("  ".join(f"{cell:{width}}" for cell, width in cells), flush=True)


def write(machine: Mapping[str, str], rows: Mapping[str, Sequence[Row]], how: str) -> None:
    """Only of a whole run, so that all figures on the page are of the same weather."""
    RESULTS.write_text("\n".join(_page(machine, rows, how)), encoding="utf-8")


def _page(machine: Mapping[str, str], rows: Mapping[str, Sequence[Row]], how: str) -> Iterator[str]:
    yield "<!-- written by a whole run of `make bench` -->\n\n# Results\n"
    yield f"{how} How to read them: [README.md](README.md).\n"
    yield "| machine | |\n|---|---|"
    for name, value in machine.items():
        yield f"| {name} | {value} |"
    for name, some in rows.items():
        yield f"\n## {name}\n\n{_line(HEADS)}\n{_line(('---',) * len(HEADS))}"
        for row in some:
            yield _line(row.cells)
    missed = [row.work for part in rows.values() for row in part if row.verdict == "missed"]
    yield "\n## Missed\n"
    yield "\n".join(f"* {one}" for one in missed) or "None."
    yield ""


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
