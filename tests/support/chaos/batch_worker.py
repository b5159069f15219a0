"""A worker of the scoring queue: a process that runs the real function on each batch of messages it is brought.

Workers are forked from a server that has imported everything, so that two hundred of them can be killed in a minute.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    ["tests.support.chaos.batch_worker", "lambdas.score.handler", "perennial.scoring.pictures.places", "boto3",
     "perennial.scoring.pictures.picture_units", "lambdas.api.handler", "perennial.jobs.collect",
     "perennial.monitoring.observed", "tests.support.chaos.feedback_worker", "tests.support.models",
     "tests.support.events", "pyarrow.parquet", "pyarrow.csv", "onnxruntime", "PIL.Image"]
)  # fmt: skip
REQUEST_SECONDS = 1.0
"""After so long a worker asks S3 again: half a minute, as the function does, would be too long for a test."""


@dataclass(frozen=True)
class Job:
    """What a worker is started with; ``mutant`` names one of :mod:`tests.support.chaos.batch_mutants`.

    ``upload_bytes`` makes results go up in parts of that size.
    """

    environment: Mapping[str, str]
    mutant: str | None = None
    upload_bytes: int | None = None


class Worker:
    """A worker process as its siege sees it."""

    def __init__(self, job: Job, target: Callable[[Connection, Job], None] | None = None) -> None:
        self._connection, theirs = _CONTEXT.Pipe()
        self.killed = False
        self.process = _CONTEXT.Process(target=target or work, args=(theirs, job), daemon=True)
        self.process.start()
        theirs.close()

    def do(self, event: dict[str, Any]) -> dict[str, Any] | None:
        """The function's answer to a batch of messages; None where the worker died over it."""
        with suppress(EOFError, OSError):
            self._connection.send(event)
            answer: dict[str, Any] = self._connection.recv()
            return answer
        self.process.join()
        return None

    def kill(self) -> None:
        """End it at once, wherever it is; returns when it is dead. ``killed`` tells this from a death of its own."""
        self.killed = True
        self.process.kill()
        self.process.join()


def work(connection: Connection, job: Job) -> None:
    """What runs in the process of a worker, until it is killed or nobody is left to tell it anything."""
    from lambdas.score.handler import score
    from perennial.scoring.batch.multipart import S3Uploads
    from perennial.scoring.batch.opening import open_bench
    from perennial.settings import Settings
    from perennial.store_opening import Patience, open_store
    from tests.support.chaos import batch_mutants

    settle_in(job)
    if job.upload_bytes is not None:
        _send_in_parts_of(job.upload_bytes)
    settings = Settings.load(job.environment)
    patience = Patience(request=REQUEST_SECONDS, silence=REQUEST_SECONDS, retries=3, retrying=2 * REQUEST_SECONDS)
    store, uploads = open_store(settings, patience=patience), S3Uploads(settings, silence=REQUEST_SECONDS)
    bench = replace(open_bench(settings), store=store, uploads=uploads)
    attempt = batch_mutants.MUTANTS[job.mutant]() if job.mutant else None
    with suppress(EOFError, OSError):
        while True:
            event = connection.recv()
            if attempt is not None:
                attempt(event)
            connection.send(score(event, bench, lambda: 600.0))


def settle_in(job: Job) -> None:
    """Take on the environment of a job, and write no log."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "PERENNIAL_"))]:
        del os.environ[name]
    os.environ.update(job.environment)
    os.environ.update(AWS_MAX_ATTEMPTS="2", OMP_NUM_THREADS="1")
    sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 - as long as the process lives


def _send_in_parts_of(size: int) -> None:
    from perennial.scoring.batch.outputs import Outgoing

    Outgoing.__init__.__kwdefaults__["buffer"] = size  # type: ignore[index]  # it has one, for tests of the writers
