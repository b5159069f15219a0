"""Proof that the listener is the child of whoever asks."""

from __future__ import annotations

import os

from localstack.http import Request, Response


def identity(request: Request) -> Response:
    """The word that the starter gave to its child."""
    return Response(os.environ.get("PERENNIAL_EMULATOR_TOKEN", ""), mimetype="text/plain")
