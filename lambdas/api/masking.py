"""Keeping the ids of batches out of the access log of a server that writes paths: who knows an id has the file.

Loaded only under uvicorn, which has such a log. Ours name routes, and the HTTP API's leaves paths out.
"""

from __future__ import annotations

import logging
import re

LOGGER = "uvicorn.access"
_ID = re.compile(r"(/batches/)[^/?\s]+")


def mask_ids() -> None:
    """From now on, no path that is logged names a batch."""
    logger = logging.getLogger(LOGGER)
    if _without_ids not in logger.filters:
        logger.addFilter(_without_ids)


def _without_ids(record: logging.LogRecord) -> bool:
    if isinstance(record.args, tuple):
        record.args = tuple(_ID.sub(r"\1***", one) if isinstance(one, str) else one for one in record.args)
    return True
