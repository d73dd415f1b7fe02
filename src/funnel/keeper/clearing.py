"""What is done once a worker was killed."""

import asyncio
import logging
from itertools import islice
from typing import Final

from msgspec import json

from funnel.core.backoff import delays
from funnel.core.error import FunnelError
from funnel.core.secret import secret_of
from funnel.keeper.order import Order
from funnel.net.clock import now
from funnel.net.jitter import chance, jittered
from funnel.plugins import Host, find
from funnel.service.remains import remove_attempts

log = logging.getLogger(__name__)

TRIES: Final = 10


async def cleared(order: Order) -> bool:
    """Whether the containers are gone; an engine that is away is asked again for some minutes."""
    for longest in islice(delays(first=1.0, most=60.0), TRIES):
        try:
            await _clear(order)
        except (FunnelError, OSError) as error:
            log.warning("containers of %s stay for now: %s", order.task_id, error)
        else:
            return True
        await asyncio.sleep(jittered(longest, chance()))
    return False


async def _clear(order: Order) -> None:
    plugin = find("runtime", order.runtime)
    settings = json.decode(order.settings, type=plugin.settings, dec_hook=secret_of)
    host = Host(now=now, deployment=order.deployment)
    async with plugin.make(settings, host) as runtime:
        await remove_attempts(runtime, order.task_id, order.fence, grace=order.stop_grace)
