"""The application in a process that serves for long: ``uvicorn lambdas.api.server:create_server --factory``."""

from __future__ import annotations

import gc

from fastapi import FastAPI

from lambdas.api.app import create_app


def create_server() -> FastAPI:
    """The API over the bucket that the environment names, with all that was imported for it out of the collector's way.

    A full collection otherwise walks every class and function of every package again, between two answers and at
    their cost; it finds nothing, for none of them ever goes.

    Raises:
        SettingsError: the environment names no bucket.
    """
    app = create_app()
    gc.collect()
    gc.freeze()
    return app
