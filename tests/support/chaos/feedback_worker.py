"""Processes that take labels and collect them: the real function of the API, and the real step of the loop."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from multiprocessing.connection import Connection
from unittest.mock import patch

from perennial.errors import StoreUnavailable
from perennial.serving.labels import Label
from perennial.store import Store
from tests.support.chaos.batch_worker import Job, settle_in
from tests.support.chaos.feedback_findings import Finding


def take_labels(connection: Connection, job: Job) -> None:
    """Answer events as the function does, until killed or told nothing any more."""
    settle_in(job)
    if job.mutant:
        become, _ = MUTANTS[job.mutant]
        become()
    from lambdas.api.handler import handler
    from tests.support.events import LambdaContext

    with suppress(EOFError, OSError):
        while True:
            connection.send(handler(connection.recv(), LambdaContext()))


def collect_labels(connection: Connection, job: Job) -> None:
    """Collect for the runs that are named, until killed or told nothing any more."""
    settle_in(job)
    from perennial.jobs.collect import collect
    from perennial.jobs.workspace import Workspace
    from perennial.settings import Settings
    from perennial.store_opening import open_store
    from tests.support.models import make_spec

    store = open_store(Settings.load(job.environment))

    def soon() -> datetime:
        return datetime.now(UTC) + timedelta(minutes=1)  # every label was given before

    with suppress(EOFError, OSError):
        while True:
            run = connection.recv()
            w = Workspace(make_spec(), store, run["run"], "c0de", None, lambda line: None, soon)
            try:
                connection.send({"collected": collect(w).rows_feedback})
            except StoreUnavailable:
                connection.send({"collected": None})


def _last_stands() -> None:
    """A label replaces the one before."""
    from perennial import keys
    from perennial.serving.ids import day_of

    def store_label(store: Store, given: Label) -> str:
        key = keys.label(given.model, day_of(given.prediction_id), given.prediction_id)
        store._raw.put(key, given.model_dump_json().encode(), mode="overwrite", use_multipart=False)
        return "stored"

    patch("lambdas.api.services.store_label", store_label).start()


def _told_too_early() -> None:
    """A label is acknowledged though S3 did not take it."""
    from perennial.serving.feedback import store_label

    def told(store: Store, given: Label) -> str:
        with suppress(StoreUnavailable):
            return store_label(store, given)
        return "stored"

    patch("lambdas.api.services.store_label", told).start()
    patch("perennial.store.ATTEMPTS", 1).start()


def _any_token() -> None:
    """Whoever names a prediction may label it."""
    patch("perennial.serving.tokens.Signer.accepts", lambda *given: True).start()


MUTANTS: Mapping[str, tuple[Callable[[], None], tuple[Finding, ...]]] = {
    "the last label stands": (_last_stands, (Finding.REPLACED,)),
    "acknowledged before it is stored": (_told_too_early, (Finding.GONE, Finding.REPLACED)),
    "token not checked": (_any_token, (Finding.FORGED,)),
}
"""How each is broken, and what tells of it."""
