"""What CloudWatch Logs delivers, unpacked to the log lines in it; `serving.batches` settles what becomes of those."""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from typing import Any

from perennial.errors import IntegrityError

MAX_BYTES = 32 * 1024 * 1024
"""A delivery is bounded by what a function may be called with; a small one that unpacks to more is none of ours."""

_GZIP = 31  # zlib's word for a gzip header and trailer


def read_delivery(event: Mapping[str, Any]) -> tuple[str, ...]:
    """The log lines that CloudWatch Logs delivers; none where it only tries the way.

    Raises:
        IntegrityError: it is no delivery, damaged, cut short or unpacks to too much.
    """
    try:
        packed = base64.b64decode(event["awslogs"]["data"], validate=True)
        unpacking = zlib.decompressobj(_GZIP)
        data = unpacking.decompress(packed, MAX_BYTES)
        if not unpacking.eof:
            raise IntegrityError(f"A delivery of log lines is cut short, or unpacks to more than {MAX_BYTES} bytes.")
        delivery = json.loads(data)
        if delivery["messageType"] != "DATA_MESSAGE":
            return ()
        return tuple(str(line["message"]) for line in delivery["logEvents"])
    except (KeyError, TypeError, ValueError, binascii.Error, zlib.error, RecursionError) as error:
        raise IntegrityError(f"A delivery of log lines is damaged: {type(error).__name__}.") from error
