"""
A closed-loop HTTP load: so many clients, each with one connection, each waiting for its answer.

    load.py PORT CLIENTS SECONDS KIND [ID …]     KIND: create, get:VIEW, list:VIEW, or a path

Prints one JSON object: answers per second, and seconds to the 50th and 99th of a hundred answers.
It speaks just enough HTTP over bare streams to cost far less than the server that it measures;
`run.py` checks that by giving a share of its own processor time.
"""

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from itertools import count, cycle

TASK = {
    "name": "align sample",
    "description": "bwa mem, then sort",
    "inputs": [
        {"url": f"s3://bucket/run7/sample_{end}.fastq.gz", "path": f"/data/{end}.fastq.gz"}
        for end in ("R1", "R2", "index")
    ],
    "outputs": [{"url": "s3://bucket/out/sample.bam", "path": "/out/aln.bam"}],
    "resources": {"cpu_cores": 8, "ram_gb": 16.0, "disk_gb": 100.0},
    "executors": [
        {
            "image": "quay.io/biocontainers/bwa:0.7.17",
            "command": ["bwa", "mem", "-t", "8", "/ref/hg38.fa", "/data/R1.fastq.gz"],
            "stdout": "/out/aln.sam",
            "env": {"LC_ALL": "C", "THREADS": "8"},
        }
    ],
    "tags": {"workflow": "wgs-7", "sample": "s1", "lab": "lab-3"},
}


def requests(kind: str, ids: list[str]) -> Iterator[bytes]:
    """The requests to make, for ever."""
    what, _, view = kind.partition(":")
    if what == "create":
        for number in count():
            body = json.dumps({**TASK, "name": f"align sample {number}"}).encode()
            yield (
                f"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
            ).encode() + body
    for one in cycle(ids or ["-"]):
        path = {
            "get": f"/v1/tasks/{one}?view={view}",
            "list": f"/v1/tasks?page_size=256&view={view}",
        }.get(what, kind)
        yield f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode()


async def answer(reader: asyncio.StreamReader) -> int:
    """Read one answer whole; its status."""
    head = await reader.readuntil(b"\r\n\r\n")
    lowered = head.lower()
    at = lowered.index(b"content-length:") + 15
    await reader.readexactly(int(lowered[at : lowered.index(b"\r", at)]))
    return int(head[9:12])


async def client(port: int, asks: Iterator[bytes], end: float, waits: list[float]) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 24)
    bad = 0
    while (start := time.perf_counter()) < end:
        writer.write(next(asks))
        bad += await answer(reader) != 200
        waits.append(time.perf_counter() - start)
    writer.close()
    return bad


async def main(port: int, clients: int, seconds: float, kind: str, ids: list[str]) -> None:
    waits: list[float] = []
    asks = requests(kind, ids)
    start, cpu = time.perf_counter(), time.process_time()
    bad = sum(
        await asyncio.gather(*(client(port, asks, start + seconds, waits) for _ in range(clients)))
    )
    took = time.perf_counter() - start
    waits.sort()
    print(
        json.dumps(
            {
                "rate": len(waits) / took,
                "p50": waits[len(waits) // 2],
                "p99": waits[len(waits) * 99 // 100],
                "bad": bad,
                "own_cpu": (time.process_time() - cpu) / took,
            }
        )
    )


if __name__ == "__main__":
    asyncio.run(
        main(int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3]), sys.argv[4], sys.argv[5:])
    )
