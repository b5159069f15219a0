"""A proxy in front of an S3 endpoint that spoils the answers a test writes down, in order.

For faults by chance, and for more than a few requests, there is :mod:`tests.support.chaos.faulty`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.support.chaos.faults import Asked, Decision, Fault, Refusal
from tests.support.chaos.relay import Relay


@dataclass
class Faults:
    """What happens to the requests to come, in order; after the last one they all pass.

    A number is answered with that status, the S3 error ``code`` of the same position, without reaching the bucket.
    """

    plan: list[int | Fault] = field(default_factory=list)
    code: str = "Injected"
    seen: list[str] = field(default_factory=list)

    def decide(self, asked: Asked) -> Decision:
        self.seen.append(asked.method)
        fault = self.plan.pop(0) if self.plan else None
        return Decision(Refusal(fault, self.code) if isinstance(fault, int) else fault)


@contextmanager
def proxied(endpoint_url: str, faults: Faults) -> Iterator[str]:
    """The address of a proxy to ``endpoint_url`` under ``faults``, for the time of the block."""
    loop = asyncio.new_event_loop()
    relay = Relay(endpoint_url, faults.decide)
    port = loop.run_until_complete(relay.listen(""))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        relay.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()
