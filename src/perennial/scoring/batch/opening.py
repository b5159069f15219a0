"""The one place that puts a bench together, of what the settings of a process name."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import cache

from perennial.scoring.batch.bench import Bench
from perennial.scoring.batch.multipart import S3Uploads
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import open_store


def open_bench(settings: Settings) -> Bench:
    """A bench on the bucket of ``settings``.

    Raises:
        SettingsError: there are no credentials.
    """

    @cache
    def elsewhere(bucket: str) -> Store:
        return open_store(settings.model_copy(update={"bucket": bucket}))

    return Bench(
        store=open_store(settings),
        bucket=settings.bucket,
        uploads=S3Uploads(settings),
        elsewhere=elsewhere,
        now=lambda: datetime.now(UTC),
        clock=time.monotonic,
        part_bytes=settings.part_bytes,
    )
