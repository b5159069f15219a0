"""The Lambda entry point of the scoring: called by the scoring queue with a few messages at a time.

Each message has its own outcome. What could not be done now is handed back alone, comes again after a while, and in
the end lies in the dead queue; a file that nothing could score is no such case, it gets its result.
"""

from __future__ import annotations

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy would start a thread a core, for nothing

import json
import sys
import traceback
from collections.abc import Callable
from functools import cache
from itertools import count
from typing import Any

from aws_lambda_powertools.utilities.batch import (
    BatchProcessor,
    EventType,
    process_partial_response,
)
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from perennial.errors import OutOfTime, PerennialError
from perennial.scoring.batch.bench import Bench, Shift
from perennial.scoring.batch.events import described, read_message
from perennial.scoring.batch.opening import open_bench
from perennial.scoring.batch.work import carry_out
from perennial.settings import Settings


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Do what a batch of messages tells; answers with those that are to come again."""
    return score(event, bench(), lambda: context.get_remaining_time_in_millis() / 1000)


def score(event: dict[str, Any], at: Bench, remaining: Callable[[], float] | None = None) -> dict[str, Any]:
    """One batch of messages, one after the other. ``remaining`` gives the seconds that are left for them."""
    places = count()

    def work(record: SQSRecord) -> None:  # powertools calls it by that name
        _carry_out(record, at, Shift(remaining, first=next(places) == 0))

    processor = BatchProcessor(EventType.SQS, raise_on_entire_batch_failure=False)
    answer: dict[str, Any] = dict(process_partial_response(event, work, processor))
    return answer


@cache
def bench() -> Bench:
    """The bucket that the environment names, which is read here and not at import."""
    return open_bench(Settings.load())


def _carry_out(message: SQSRecord, at: Bench, shift: Shift) -> None:
    """One message, and a line of log for each object that it tells of. What it raises is for the message as a whole."""
    about: dict[str, Any] = {"message_id": message.message_id, "attempt": _attempt(message)}
    line = about
    try:
        for told in read_message(message.body, at.bucket):
            started = at.clock()
            line = about | described(told)
            outcome = carry_out(at, told, shift)
            seconds = {"seconds": round(at.clock() - started, 3)}
            _log("INFO", line | {name: value for name, value in _plain(outcome).items() if value is not None} | seconds)
    except OutOfTime as later:
        _log("INFO", line | {"state": "later", "why": str(later)})
        raise
    except PerennialError as error:
        _log("ERROR", line | {"state": "error", "error": type(error).__name__, "why": str(error)})
        raise
    except Exception as error:  # the message of an error that nobody foresaw may hold a row, so only its place is told
        places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        _log("ERROR", line | {"state": "error", "error": type(error).__name__, "at": places})
        raise


def _plain(outcome: Any) -> dict[str, Any]:
    values = dict(vars(outcome))
    counts = values.pop("counts")
    return values | (counts.model_dump() if counts else {})


def _attempt(message: SQSRecord) -> int:
    return int(message.attributes.approximate_receive_count or 1)


def _log(level: str, line: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps({"level": level, "message": "scoring"} | line) + "\n")
    sys.stdout.flush()
