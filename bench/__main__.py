"""
How fast: figures and ratios, all from one run on this machine.

    python -m bench [--seconds S] [--repeats N] [NAME …]     NAME: a part; without any, all of them

A closed loop of clients in a process of their own against one server process; each figure is the
median of its repeats. A whole run writes `results.md`.
"""

import argparse
import signal
import subprocess
import time
from collections.abc import Mapping

import httpx

from bench import away, bulk, containers, door, lookups, noops, rpc, sinks, starts, storage
from bench.machine import describe
from bench.measure import Pace, Part, Row
from bench.report import heads, show, write

PARTS: Mapping[str, Part] = {
    "generator": door.generator,
    "creates": door.creates,
    "gets": door.gets,
    "lists": door.lists,
    "grpc": rpc.grpc,
    "finished": lookups.finished,
    "filters": lookups.filters,
    "sizes": lookups.sizes,
    "starts": starts.starts,
    "hello": containers.hello,
    "hundred": containers.hundred,
    "cancel": containers.cancel,
    "reports": away.reports,
    "holding": away.holding,
    "recalls": away.recalls,
    "noops": noops.noops,
    "sinks": sinks.sinks,
    "input": bulk.input_in_place,
    "output": bulk.output,
    "storage": storage.storage,
}


def run(name: str, pace: Pace) -> list[Row]:
    """The rows of a part, as far as it came; what stopped it is one of them."""
    heads(name)
    rows = list[Row]()
    try:
        for row in PARTS[name](pace):
            show(row)
            rows.append(row)
    except (OSError, RuntimeError, subprocess.SubprocessError, httpx.HTTPError) as error:
        rows.append(Row(work=f"FAILED: {error!r}", unit="", repeats=[0]))
        show(rows[-1])
    return rows


def main() -> None:
    # So that servers and folders are cleared up after a stop from outside as well.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=2.0, help="of one repeat of a load")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(PARTS))
    asked = parser.parse_args()
    if unknown := set(asked.names) - set(PARTS):
        parser.error(f"no part is named {', '.join(unknown)}; there are {', '.join(PARTS)}")
    pace, began, machine = Pace(asked.seconds, asked.repeats), time.monotonic(), describe()
    rows = {name: run(name, pace) for name in asked.names or PARTS}
    minutes = (time.monotonic() - began) / 60
    print(f"{minutes:.1f} minutes on {machine['processor']}, load {machine['load at the start']}")
    if not asked.names:
        how = f"{pace.repeats} repeats, {pace.seconds:g} s each for loads; {minutes:.1f} minutes."
        write("results.md", "Results", how, machine, rows)


if __name__ == "__main__":
    main()
