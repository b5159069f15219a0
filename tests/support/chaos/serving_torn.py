"""A broken server, started by ``uvicorn --factory``: it reads which model is current more than once in a request."""

from __future__ import annotations

import time
from typing import Any, cast

from fastapi import FastAPI

from lambdas.api import app
from perennial.serving.refresh import ModelCache, Snapshot

BETWEEN = 0.02
"""Seconds that pass between what predicts and what is told of it."""


class Torn:
    """Stands where a request has its snapshot, and has each part of it as it is when it is asked for."""

    def __init__(self, cache: ModelCache, model: str) -> None:
        self._cache, self._model, self._predicted = cache, model, False

    def __getattr__(self, name: str) -> Any:
        if self._predicted:
            time.sleep(BETWEEN)
        self._predicted |= name == "predictor"
        return getattr(self._cache.last_good(self._model), name)


class TornCache(ModelCache):
    """Hands out such things in place of snapshots."""

    def peek(self, model: str) -> Snapshot | None:
        return None if super().peek(model) is None else cast(Snapshot, Torn(self, model))

    def get(self, model: str) -> Snapshot:
        super().get(model)
        return cast(Snapshot, Torn(self, model))


def create() -> FastAPI:
    """The API over the bucket that the environment names, torn."""
    app.ModelCache = TornCache  # type: ignore[attr-defined]
    return app.create_app()
