"""`python -m funnel.keeper` carries out the order on its standard input."""

import asyncio
import logging
import sys

from msgspec import json

from funnel.keeper.clearing import cleared
from funnel.keeper.order import Order
from funnel.logs import set_up

if __name__ == "__main__":
    given = json.decode(sys.stdin.buffer.read(), type=Order)
    set_up(level="info", formatter="text", task=given.task_id)
    logging.getLogger(__name__).warning("the worker was killed; its containers are removed")
    sys.exit(0 if asyncio.run(cleared(given)) else 1)
