"""The smoke test: one holdout row, asked of the real endpoint and of the predictor; both must say the same."""

from __future__ import annotations

import json
import math
import time
import urllib.error
import urllib.request
from http.client import HTTPException
from typing import Any

from perennial.datasets.load import Rows
from perennial.errors import SmokeTestError
from perennial.jobs.results import PromoteResult, SmokeResult
from perennial.jobs.workspace import Workspace
from perennial.serving.load import load
from perennial.serving.predictor import Prediction

PATIENCE_SECONDS = 90.0
PAUSE_SECONDS = 0.5
TOLERANCE = 1e-9


def smoke_test(w: Workspace, promoted: PromoteResult, holdout: Rows) -> SmokeResult:
    """Predict the first holdout row.

    Raises:
        SmokeTestError: the endpoint does not answer, never comes to serve the version, or answers otherwise than
            the predictor does.
    """
    predictor = load(w.store, w.spec.name, promoted.version)
    record = record_of(w, holdout)
    expected = predictor.predict([predictor.schema.validate(record)])[0]
    endpoint = None
    if w.api_url:
        endpoint = f"{w.api_url.rstrip('/')}/models/{w.spec.name}"
        _await_generation(endpoint, promoted, w)
        _compare(_call(f"{endpoint}/predict", record), expected, promoted.version)
    return SmokeResult(version=promoted.version, endpoint=endpoint, prediction=expected.prediction)


def record_of(w: Workspace, rows: Rows) -> dict[str, Any]:
    """The first row as a client would send it: features only, dates as ISO text."""
    first = rows.table.slice(0, 1).select(list(w.spec.features)).to_pylist()[0]
    return {name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in first.items()}


def _await_generation(endpoint: str, promoted: PromoteResult, w: Workspace) -> None:
    """A server looks at the alias once in a refresh interval: wait until it serves the new generation."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    last = "no answer"
    while time.monotonic() < deadline:
        try:
            served = _call(endpoint)
        except SmokeTestError as error:
            last = error.message
        else:
            generation = served.get("generation")
            if isinstance(generation, int) and generation >= promoted.generation:
                return
            last = f"it serves generation {generation}"
        time.sleep(PAUSE_SECONDS)
    raise SmokeTestError(
        f"{endpoint} does not serve generation {promoted.generation} after {PATIENCE_SECONDS:.0f} s: {last}.",
        remedy=f"Look at the function's log and at {w.api_url}/ready; `perennial rollback {w.spec.name}` goes back.",
    )


def _call(url: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    data = None if body is None else json.dumps(body, allow_nan=False).encode()
    try:
        request = urllib.request.Request(url, data, {"Content-Type": "application/json"})  # noqa: S310 - the owner's API
        with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310
            found = json.load(answer)
    except urllib.error.HTTPError as error:
        raise SmokeTestError(f"{url}: answered {error.code}: {error.read(500).decode(errors='replace')}") from error
    except (OSError, ValueError, HTTPException) as error:
        raise SmokeTestError(f"{url}: {error}") from error
    if not isinstance(found, dict):
        raise SmokeTestError(f"{url}: answered {str(found)[:100]}, which is no object.")
    return found


def _compare(answer: dict[str, Any], expected: Prediction, version: str) -> None:
    model, chances = answer.get("model"), answer.get("probabilities")
    served = model.get("version") if isinstance(model, dict) else None
    if served != version:
        raise SmokeTestError(f"The endpoint answered by version {served}, not {version}.")
    given = answer.get("prediction")
    if isinstance(expected.prediction, float):
        same = _close(given, expected.prediction, rel_tol=TOLERANCE)
    else:
        same = given == expected.prediction and all(
            _close(chances.get(name) if isinstance(chances, dict) else None, value, abs_tol=TOLERANCE)
            for name, value in (expected.probabilities or {}).items()
        )
    if not same:
        raise SmokeTestError(f"The endpoint's answer differs from the predictor's for version {version}.")


def _close(given: object, wanted: float, **tolerance: float) -> bool:
    return isinstance(given, (int, float)) and math.isclose(given, wanted, **tolerance)
