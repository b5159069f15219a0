"""The Lambda entry point: one Mangum adapter, made at the first event.

Imports are most of a cold start. FastAPI's OpenAPI models are left unbuilt, since only
``/openapi.json`` needs them, and nothing is collected while so much is created that will stay.
"""

from __future__ import annotations

import gc
import os
from functools import cache
from typing import Any

gc.disable()
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy would start a thread a core, for nothing

from pydantic import BaseModel  # noqa: E402

BaseModel.model_config["defer_build"] = True

from mangum import Mangum  # noqa: E402

from lambdas.api.app import create_app  # noqa: E402
from lambdas.api.gateway import Gateway  # noqa: E402
from lambdas.api.problems import MEDIA_TYPE  # noqa: E402

BaseModel.model_config["defer_build"] = False
gc.enable()
gc.freeze()

TEXT = ["application/json", MEDIA_TYPE, "text/"]


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Answer one event of an API Gateway HTTP API (payload 2.0)."""
    return adapter()(event, context)


@cache
def adapter() -> Mangum:
    """The application over the environment's settings, which are read here and not at import."""
    return Mangum(create_app(), lifespan="off", text_mime_types=TEXT, custom_handlers=[Gateway])
