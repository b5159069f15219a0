"""``python -m perennial.jobs STEP --spec model.yaml --run ID [--candidate NAME] [--force] [--result FILE]``.

Spec and result may be addresses in S3, as they are where a job runs on another machine.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import threading
from datetime import UTC, datetime
from pathlib import Path

from perennial.errors import PerennialError
from perennial.jobs.staged import fetch_spec, keep_result
from perennial.jobs.steps import STEPS, TAKING, Arguments, perform
from perennial.jobs.workspace import CAUSES, open_workspace


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m perennial.jobs", description="Run one step of the loop.")
    parser.add_argument("step", choices=sorted([*STEPS, *TAKING, "train"]))
    parser.add_argument("--spec", required=True, help="model.yaml: a path, or s3://bucket/key")
    parser.add_argument("--run", required=True)
    parser.add_argument("--candidate", help="for the step train")
    parser.add_argument("--source", help="for the steps pull-query and pull-land")
    parser.add_argument("--force", action="store_true")
    parser.add_argument("--cause", choices=CAUSES, default="manual", help="what started the run")
    parser.add_argument("--because", default="", help="why, where it was no person; or why a step is run at all")
    parser.add_argument("--asked-by", metavar="DAG/RUN/TASK", help="for request-approval: who waits for the answer")
    answer = parser.add_mutually_exclusive_group()
    answer.add_argument("--approved", action="store_const", const=True, dest="approved", help="for answer-approval")
    answer.add_argument("--rejected", action="store_const", const=False, dest="approved", help="for answer-approval")
    parser.add_argument("--by", default="", help="for answer-approval: who answered")
    parser.add_argument("--at", metavar="TIME", help="for monitor-check: the time to look back from, by default now")
    parser.add_argument("--result", help="a path or s3://bucket/key for the result as JSON; standard output by default")
    parser.add_argument("--follow", action="store_true", help="end with whoever holds the other end of stdin")
    given = parser.parse_args()
    if given.follow:
        threading.Thread(target=_follow, daemon=True).start()
    try:
        with tempfile.TemporaryDirectory(prefix="perennial-") as folder:
            return _run(given, fetch_spec(given.spec, Path(folder)))
    except PerennialError as error:
        _say(str(error))
        return error.exit_code


def _run(given: argparse.Namespace, spec: Path) -> int:
    workspace = open_workspace(
        spec, given.run, force=given.force, cause=given.cause, because=given.because,
        now=lambda: datetime.now(UTC), progress=_say,
    )  # fmt: skip
    more = Arguments(given.asked_by, given.approved, given.by, given.source, given.at)
    result = perform(given.step, workspace, given.candidate, more).model_dump_json()
    if given.result:
        keep_result(given.result, result.encode())
    else:
        sys.stdout.write(result + "\n")
    return 0


def _follow() -> None:
    """A killed caller closes the pipe: nobody waits for the result, and a retry would run beside this process."""
    os.read(0, 1)
    os._exit(128 + signal.SIGTERM)


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")
    sys.stderr.flush()


if __name__ == "__main__":
    sys.exit(main())
