"""Pydantic models that are built when they are first used, for an import that makes many more than it uses.

FastAPI describes OpenAPI in some forty of them, for ``/openapi.json`` alone. Pydantic's ``defer_build`` leaves most of
their validators to their first use, but three FastAPI asks for by name, and these bring most of the others with them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pydantic import BaseModel


@contextmanager
def deferred() -> Iterator[None]:
    """No model that is made within is built before it is used: neither by itself nor by a plain ``model_rebuild()``."""
    original = BaseModel.__dict__["model_rebuild"]

    def rebuild(cls: type[BaseModel], /, **options: Any) -> bool | None:
        """Pydantic itself, for a model that is used, says how it wants it built."""
        if not options:
            return None
        options["_parent_namespace_depth"] = options.get("_parent_namespace_depth", 2) + 1  # for the frame of this
        built: bool | None = original.__func__(cls, **options)
        return built

    BaseModel.model_config["defer_build"] = True
    BaseModel.model_rebuild = classmethod(rebuild)  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        BaseModel.model_rebuild = original  # type: ignore[method-assign]
        BaseModel.model_config["defer_build"] = False
