"""Where a request begins to wait."""

from __future__ import annotations

import asyncio


async def event_loop() -> asyncio.AbstractEventLoop:
    """The running event loop, for what is about to wait; nothing asks asyncio for anything before.

    A Lambda function answers a prediction that waits for nothing without a loop (``lambdas.api.adapter``). The bare
    yield of a sleep that takes no time is where it learns that it needs one.
    """
    await asyncio.sleep(0)
    return asyncio.get_running_loop()
