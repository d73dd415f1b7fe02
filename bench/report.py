"""Telling the rows: on the screen as they come, and in `results.md` when all are there."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from bench.measure import Row

HERE = Path(__file__).parent
HEADS = ("work", "aim", "figure", "from, to", "", "beside it")
WIDTHS = (60, 12, 12, 17, 6, 0)


def heads(title: str) -> None:
    print(f"\n{title}")
    _print(HEADS)


def show(row: Row) -> None:
    _print(row.cells)


def write(
    file: str, title: str, how: str, machine: Mapping[str, str], rows: Mapping[str, Sequence[Row]]
) -> None:
    """Only of a whole run, so that all figures on the page are of the same weather."""
    text = "\n".join(_page(title, how, machine, rows))
    (HERE / file).write_text(f"{text}\n", encoding="utf-8")


def _print(cells: Sequence[str]) -> None:
    sized = (f"{cell:{width}}" for cell, width in zip(cells, WIDTHS, strict=True))
    print("  ".join(sized).rstrip(), flush=True)


def _page(
    title: str, how: str, machine: Mapping[str, str], rows: Mapping[str, Sequence[Row]]
) -> Iterator[str]:
    yield f"# {title}\n\n{how} How to read it: [README.md](README.md).\n"
    missed = [row.work for part in rows.values() for row in part if row.verdict == "missed"]
    yield f"Missed: {'; '.join(missed) or 'nothing'}.\n"
    yield "| machine | |\n|---|---|"
    for name, value in machine.items():
        yield _line((name, value))
    for name, some in rows.items():
        yield f"\n## {name}\n\n{_line(HEADS)}\n{_line(('---',) * len(HEADS))}"
        yield from (_line(row.cells) for row in some)


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
