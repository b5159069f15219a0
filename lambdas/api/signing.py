"""The key of feedback tokens, looked for beside the first prediction's model: no prediction fails for want of it.

Whoever makes tokens makes the key where there is none; whoever checks them only reads it, and may do no more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress

from lambdas.api.waiting import event_loop
from perennial.errors import NotFoundError, PerennialError, StoreUnavailable
from perennial.serving.refresh import Clock
from perennial.serving.tokens import Signer, ensure_signer, find_signer
from perennial.store import Store

START_SECONDS = 0.25  # the model takes four reads one after the other, the key one, so that it mostly is there first
RETRY_SECONDS = 5.0


class Signing:
    """One server's knowledge of the key. Everything but the look itself runs on the event loop.

    ``told`` is called with the reason of each look that failed.
    """

    def __init__(
        self,
        store: Store,
        *,
        entropy: Callable[[int], bytes],
        clock: Clock,
        told: Callable[[PerennialError], None],
    ) -> None:
        self._store = store
        self._entropy = entropy
        self._clock = clock
        self._told = told
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="key")
        self._look: Future[Signer | None] | None = None
        self._reading = False
        self._signer: Signer | None = None
        self._failure: PerennialError | None = None
        self._failed_at = 0.0
        self._begun = False

    def prepare(self, *, make: bool) -> None:
        """Begin to look where nothing is known, and the last failure is some seconds old. Waits for nothing.

        With ``make``, for one who gives out tokens, a key is made where there is none.
        """
        if self._signer is not None or (self._look is not None and not (make and self._reading)):
            return
        if self._failure is None or abs(self._clock() - self._failed_at) >= RETRY_SECONDS:
            self._reading = not make
            look = (ensure_signer, self._store, self._entropy) if make else (find_signer, self._store)
            self._look = self._pool.submit(*look)

    async def at_hand(self) -> Signer | None:
        """The signer if its key is known; the first to ask waits for it a moment."""
        if self._signer is not None:
            return self._signer
        first, self._begun = not self._begun, True
        return await self._found(START_SECONDS if first else 0.0)

    async def get(self, seconds: float) -> Signer:
        """The signer, for one who has a token to check; waits up to ``seconds``.

        Raises:
            NotFoundError: there is no key, so nobody was given a token.
            IntegrityError: what stands in its place is none.
            StoreUnavailable: S3 does not answer, or refuses.
        """
        self.prepare(make=False)
        look = self._look
        found = self._signer or await self._found(seconds)
        if found is not None:
            return found
        if look is not None and look.done() and look.exception() is None and look.result() is None:
            raise NotFoundError("No token was ever given out.", remedy="Ask for a prediction first.")
        if self._failure is not None and self._look is None:
            raise self._failure.with_traceback(None)
        raise StoreUnavailable("S3 has not answered in time.", remedy="Ask again.")

    async def _found(self, seconds: float) -> Signer | None:
        """What the look under way finds within some seconds."""
        look = self._look
        if look is None:
            return self._signer
        if seconds and not look.done():
            await event_loop()
            with suppress(TimeoutError, PerennialError):
                await asyncio.wait_for(asyncio.shield(asyncio.wrap_future(look)), seconds)
        if not look.done():
            return None
        if look is self._look:
            self._settle(look)
        return self._signer

    def _settle(self, look: Future[Signer | None]) -> None:
        self._look = None
        error = look.exception()
        if error is None:
            self._signer = look.result()
        elif isinstance(error, PerennialError):
            self._failure, self._failed_at = error, self._clock()
            self._told(error)
        else:
            raise error
