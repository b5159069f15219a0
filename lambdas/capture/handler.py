"""The Lambda entry point of the capture: called by CloudWatch Logs with batches of lines.

A call that fails is repeated by Lambda with the same batch, and what was written already is found under the same key.
"""

from __future__ import annotations

import json
import sys
from functools import cache
from typing import Any

from lambdas.capture.delivery import read_delivery
from perennial.serving.batches import batches
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import open_store


def handler(event: dict[str, Any], context: Any) -> dict[str, int]:
    """Keep one delivery; says how many lines came, how many are kept, and in how many objects."""
    return capture(event, bucket())


def capture(event: dict[str, Any], store: Store) -> dict[str, int]:
    """Write the predictions of one delivery.

    Raises:
        IntegrityError: the delivery is damaged.
        StoreUnavailable: S3 does not answer, or refuses; some objects may be written.
    """
    lines = read_delivery(event)
    found = batches(lines)
    for batch in found:
        store.put_new(batch.key, batch.data)
    outcome = {"lines": len(lines), "kept": sum(batch.lines for batch in found), "objects": len(found)}
    sys.stdout.write(json.dumps({"level": "INFO", "message": "captured"} | outcome) + "\n")
    return outcome


@cache
def bucket() -> Store:
    """The bucket that the environment names, which is read here and not at import."""
    return open_store(Settings.load())
