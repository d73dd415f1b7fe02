"""Looking up tasks among many that are stored: gets, lists, and filters."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from bench import stored
from bench.door import NOTHING, row
from bench.measure import Aim, Pace, Row
from bench.pattern import new_id
from bench.served import Served, get, served
from funnel.database.paging import token

PAGE = 256
COUNTS = (1_000, 100_000, 1_000_000)
WORKFLOW = f"tag_key=workflow&tag_value=wgs-{0:07}"
FILTERS: Mapping[str, str] = {
    "a tag of every 8th": "tag_key=lab&tag_value=lab-3",
    "a tag of the 200 oldest": WORKFLOW,
    "a tag of none": "tag_key=lab&tag_value=none",
    "a state of most": "state=COMPLETE",
    "a state of every 500th": "state=CANCELED",
    "a name prefix of every 4th": "name_prefix=align",
    "a name prefix of the 10 oldest": "name_prefix=align%20sample-000000",
    "tag and state": f"{WORKFLOW}&state=EXECUTOR_ERROR",
    "two tags": f"{WORKFLOW}&tag_key=lab&tag_value=lab-3",
    "name prefix and state, never together": "name_prefix=merge&state=CANCELED",
    "tag and name prefix, never together": "tag_key=lab&tag_value=lab-3&name_prefix=align",
}


def finished(pace: Pace) -> Iterator[Row]:
    """Gets and pages of tasks that have run: a few again and again, and each another one."""
    count = COUNTS[1]
    with stored.database(count) as path, served(*NOTHING, database=path) as one:
        for what, numbers in (
            ("50 finished tasks", range(count - 49, count + 1)),
            (f"each of {count:,} finished", range(1, count, 7)),
        ):
            for view, aim in (("MINIMAL", 12000), ("BASIC", 10000), ("FULL", 10000)):
                requests = [get(f"/tasks/{new_id(n)}?view={view}") for n in numbers]
                yield row(f"get {view}, 16 clients, {what}", one.load(16, requests, pace), aim)
        for what, places in (
            ("the newest", (count + 1,)),
            (f"all over {count:,}", range(count, PAGE, -PAGE)),
        ):
            for view, aim in (("MINIMAL", 2000), ("FULL", 400)):
                requests = [_page(view, place) for place in places]
                yield row(
                    f"pages of 256 {view}, 4 clients, {what}", one.load(4, requests, pace), aim
                )


def _page(view: str, after: int) -> str:
    return get(page_path(view, after))


def page_path(view: str, after: int) -> str:
    return f"/tasks?page_size={PAGE}&view={view}&page_token={token(after)}"


def filters(pace: Pace) -> Iterator[Row]:
    """One client, pages of 256 in the MINIMAL view."""
    first: dict[str, float] = {}
    for count in COUNTS:
        with stored.database(count) as path, served(*NOTHING, database=path) as one:
            for name, query in FILTERS.items():
                found = _filter(one, f"{count:,} stored, {name}", query, pace)
                ratio = found.figure / first.setdefault(name, found.figure)
                yield replace(found, beside=(f"{ratio:.1f} times that of {COUNTS[0]:,}",))


def _filter(one: Served, work: str, query: str, pace: Pace) -> Row:
    quick = Pace(pace.seconds / 4, pace.repeats)
    runs = one.load(1, [get(f"/tasks?page_size={PAGE}&view=MINIMAL&{query}")], quick)
    return Row(
        work=work,
        unit="ms",
        repeats=[run.p50 * 1e3 for run in runs],
        aim=Aim(5, most=True),
    )


def sizes(pace: Pace) -> Iterator[Row]:
    del pace
    count = COUNTS[1]
    with stored.database(count) as path:
        yield Row(
            work=f"database, each of {count:,} finished tasks",
            unit="B",
            repeats=[stored.size(path) / count],
            aim=Aim(3 * 1024, most=True),
        )
