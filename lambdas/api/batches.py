"""POST /models/{model}/batches, POST /batches where one model is deployed, and GET /models/{model}/batches/{id}.

The id is a secret that its client alone has; S3 knows a job by a hash of it. Whatever is no job of the model, be it
another's, made up or malformed, gets the same answer. What only these routes need is loaded when one is first used.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from fastapi import Request, Response
from pydantic_core import to_json

from lambdas.api.only import only_model
from lambdas.api.problems import Problem
from lambdas.api.services import COLD_LOOK_SECONDS, services_of
from lambdas.api.trace import trace_of
from perennial import keys
from perennial.errors import IntegrityError, PerennialError, SettingsError, StoreUnavailable
from perennial.registry.manifest import is_model_name

if TYPE_CHECKING:
    from perennial.serving.batch_state import BatchState

UPLOAD_LASTS = timedelta(hours=1)
REQUEST_SECONDS = 10.0  # what a function has, less its start
ID = re.compile(r"[A-Za-z0-9_-]{43}")  # 32 bytes in base64url


async def create_batch(request: Request) -> Response:
    """Have a file scored: answers 201 with a form to upload it by, and the id under which its state is told."""
    return await _create(request, request.path_params["model"])


async def create_batch_only(request: Request) -> Response:
    """The same for the one model that is deployed. Where there are more, name one by its own route."""
    return await _create(request, await only_model(request, "batches"))


async def show_batch(request: Request) -> Response:
    """How far a file is: its state, rows, warnings, first rows, and links to what came of it. 404 without its id."""
    from lambdas.api.batch_answers import told
    from perennial.serving.batch_job import job_of
    from perennial.serving.batch_state import state_of
    from perennial.serving.presign import Links

    model, identifier = request.path_params["model"], request.path_params["id"]
    services = services_of(request)
    now = datetime.fromtimestamp(services.clock(), UTC)
    state: BatchState | None = None
    if is_model_name(model) and ID.fullmatch(identifier):
        job = job_of(identifier)
        with _told_as_unavailable(request, "What is known of the file cannot be read at the moment. Ask again."):
            state = await services.of_batch(
                f"{model}/{job}", lambda: state_of(services.store, model, job, now), COLD_LOOK_SECONDS
            )
    if state is None:
        raise Problem(404, "unknown-batch", "There is no such batch of this model.")
    with _told_as_unsigned(request):
        return _json(200, told(identifier, state, now, Links(services.settings)))


async def _create(request: Request, model: str) -> Response:
    from lambdas.api.batch_answers import told_as_new
    from lambdas.api.batch_bodies import options_of, read_new_batch
    from perennial.serving.batch_job import BatchRequest, job_of
    from perennial.serving.file_names import key_name
    from perennial.serving.presign import Links

    until = asyncio.get_running_loop().time() + REQUEST_SECONDS
    services = services_of(request)
    most = services.settings.upload_bytes
    given = await read_new_batch(request, most)
    options = options_of(given, (await services.snapshot(request, model)).predictor.manifest.spec)
    identifier = base64.urlsafe_b64encode(services.entropy(32)).rstrip(b"=").decode()
    job, now = job_of(identifier), datetime.fromtimestamp(services.clock(), UTC)
    ordered = BatchRequest(
        model=model, name=given.name, options=options, created=now, size=given.size, expires=now + UPLOAD_LASTS
    )
    key = keys.batch_upload(model, job, key_name(given.name))
    with _told_as_unsigned(request):
        form = Links(services.settings).upload(key, most, now=now, lasting=UPLOAD_LASTS)
    with _told_as_unavailable(request, "The batch is not known to be stored. Ask for another."):
        await services.of_batch(
            job,
            lambda: services.store.put_new(keys.batch_request(model, job), ordered.to_bytes()),
            max(0.5, min(COLD_LOOK_SECONDS, until - asyncio.get_running_loop().time())),
        )
    return _json(201, told_as_new(identifier, ordered, form, most))


@contextmanager
def _told_as_unavailable(request: Request, detail: str) -> Iterator[None]:
    """Raises Problem where S3 does not do its part, or holds what cannot be read."""
    try:
        yield
    except (StoreUnavailable, IntegrityError) as error:
        _note(request, error)
        raise Problem(503, "batches-unavailable", detail, headers={"retry-after": "1"}) from error


@contextmanager
def _told_as_unsigned(request: Request) -> Iterator[None]:
    """Raises Problem where this server has nothing to sign links with."""
    try:
        yield
    except SettingsError as error:
        _note(request, error)
        detail = "This server has no AWS keys in its environment, and without them it cannot sign links."
        raise Problem(503, "links-unavailable", detail) from error


def _note(request: Request, error: PerennialError) -> None:
    trace = trace_of(request.scope)
    trace.error = type(error).__name__
    services_of(request).telemetry.failed(error, trace)


def _json(status: int, content: object) -> Response:
    return Response(to_json(content), status, {"cache-control": "no-store"}, "application/json")
