"""The ``perennial`` command: each command parses, calls one function, and prints the result."""

from __future__ import annotations

import gc

import typer

from perennial.cli import (
    approve,
    backbone,
    batches,
    cost,
    cycle,
    data,
    doctor,
    environment,
    keys,
    monitor,
    notify,
    predict,
    registry,
    replay,
    score,
    score_new,
    trace,
    trial,
)
from perennial.cli.output import guarded

EPILOG = (
    "Exit codes: 0 done; 1 unexpected; 2 usage or settings; 3 spec; 4 data; 5 not found; 6 conflict; "
    "7 integrity; 8 training or export; 9 not promoted; 10 S3, KMS or Airflow unavailable; 11 deployment; "
    "12 smoke test failed; 13 files without a result."
)

IMPORTED = 100_000
"""New objects from which on garbage is looked for: more than the imports of a command, which are none."""

app = typer.Typer(
    name="perennial",
    help="Keeps machine-learning models in production fresh.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
for commands in (
    data,
    backbone,
    cycle,
    monitor,
    approve,
    registry,
    trial,
    predict,
    score,
    score_new,
    batches,
    trace,
    replay,
    notify,
    doctor,
    cost,
    environment,
    keys,
):
    commands.register(app)


def main() -> None:
    """Entry point: expected errors become one line and their exit code."""
    gc.set_threshold(IMPORTED)
    try:
        guarded(app)
    finally:
        gc.freeze()  # or the interpreter looks through all of it twice more before it ends
