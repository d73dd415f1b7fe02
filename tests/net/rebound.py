"""A process that asks a name server of the tests: `rebound.py TRIALS URL` prints how it went."""

import asyncio
import sys
from collections import Counter

from lures import REACH
from msgspec import json

from funnel.core.error import Denied
from funnel.net.client import Client
from funnel.net.guard import Guard
from funnel.net.web import Terms, Web


async def trials(count: int, url: str) -> Counter[str]:
    found = Counter[str]()
    async with Client(Guard(REACH), connect=30, silence=30) as client:
        web = Web(client, REACH, lambda _: Terms())
        for _ in range(count):
            try:
                async with web.answered("GET", url, {}) as answer:
                    found[await answer.text()] += 1
            except Denied:
                found["denied"] += 1
    return found


if __name__ == "__main__":
    sys.stdout.buffer.write(json.encode(asyncio.run(trials(int(sys.argv[1]), sys.argv[2]))))
