"""The Lambda entry point: one adapter, made at the first event.

Imports are most of a cold start: models are left unbuilt until they are used, as most never are, and nothing is
collected while so much is created that will stay.
"""

from __future__ import annotations

import gc
import os
from functools import cache
from typing import Any

gc.disable()
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy would start a thread a core, for nothing
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")  # else all that is installed is searched for some
os.environ.setdefault("OTEL_PROPAGATORS", "none")  # FastAPI imports OpenTelemetry, and nothing here is traced by it

from lambdas.api.deferred import deferred  # noqa: E402

with deferred():
    from lambdas.api.adapter import Adapter, adapted
    from lambdas.api.app import create_app
gc.enable()
gc.freeze()


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one event of an API Gateway HTTP API (payload 2.0)."""
    return adapter()(event, context)


@cache
def adapter() -> Adapter:
    """The application over the environment's settings, which are read here and not at import."""
    return adapted(create_app())
