"""What is written of requests: one line each, after those of its predictions, and the story of what failed.

Only the lines of predictions hold values of the input. A request's own line is its log entry and, in a Lambda
function, its metrics too: the members that count carry CloudWatch's embedded metric format beside them. All are
written straight to stdout, as powertools writes metrics, because it is on every request's path, and at once; failures,
with their stack, go through powertools' Logger.
"""

from __future__ import annotations

import logging
import os
import sys
from functools import cached_property, lru_cache
from typing import IO, TYPE_CHECKING, Any

from pydantic_core import to_json

from lambdas.api.trace import Trace

if TYPE_CHECKING:
    from aws_lambda_powertools.logging import Logger

SERVICE = "perennial-api"
"""What a service is called where nothing names it; in the cloud POWERTOOLS_SERVICE_NAME does, with the stage in it."""
NAMESPACE = "Perennial"
WATCHED = ("IntegrityFailure", "StaleModel")
"""Counted over all models too, for an alarm watches one metric and cannot know the models' names."""


class Telemetry:
    """Writes to stdout, which CloudWatch reads.

    Metrics are written only in a Lambda function, where something turns the lines into metrics. The
    model is a dimension only once it is known to exist, so clients cannot make up dimensions; the service
    is one always, so that the alarms of one stage see nothing of another's.
    """

    def __init__(self, *, emit_metrics: bool | None = None) -> None:
        in_lambda = "AWS_LAMBDA_FUNCTION_NAME" in os.environ
        self._emit_metrics = in_lambda if emit_metrics is None else emit_metrics
        self._service = os.environ.get("POWERTOOLS_SERVICE_NAME") or SERVICE

    def record(self, trace: Trace, method: str, route: str, status: int, milliseconds: float) -> None:
        """Write the line of one answered request. What did not happen is neither said nor counted."""
        line: dict[str, Any] = {
            "level": _level(trace, status),
            "message": "request",
            "timestamp": trace.time,
            "service": self._service,
            "method": method,
            "route": route,
            "status": status,
            "Latency": round(milliseconds, 3),
            "request_id": trace.request_id,
            "correlation_id": trace.correlation_id,
            "cold_start": trace.cold_start,
        }
        if trace.model is not None:
            line |= {"model": trace.model, "version": trace.version, "generation": trace.generation}
        if trace.error is not None:
            line["error"] = trace.error
        if trace.refresh is not None:
            line["refresh_failure"] = trace.refresh
        counts = _counts(trace, status)
        line |= counts
        told = to_json(line).decode()
        if self._emit_metrics:
            metrics = _metrics(tuple(counts), trace.model is not None)
            told = f'{told[:-1]},"_aws":{{"Timestamp":{int(trace.at * 1000)},"CloudWatchMetrics":{metrics}}}}}'
        sys.stdout.write(f"{trace.captured.text}{told}\n")
        sys.stdout.flush()

    def failed(self, error: Exception, trace: Trace | None = None) -> None:
        """Tell the whole story of an error that was not the client's: the answer says nothing of it."""
        keys = (
            {"request_id": trace.request_id, "correlation_id": trace.correlation_id, "model": trace.model}
            if trace
            else {}
        )
        self._logger.error(str(error), exc_info=error, extra=keys)

    @cached_property
    def _logger(self) -> Logger:
        from aws_lambda_powertools.logging import Logger  # most processes never need it

        return Logger(service=self._service, logger_handler=_Stdout())


class _Stdout(logging.StreamHandler[IO[str]]):
    """Writes to whatever stdout is when a line is written, as ``print`` does."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> IO[str]:  # type: ignore[override]  # read-only on purpose
        return sys.stdout


def _level(trace: Trace, status: int) -> str:
    if status >= 500:
        return "ERROR"
    amiss = trace.refresh or trace.unverified or trace.untokened or trace.captured.lost or trace.challenger
    return "WARNING" if amiss else "INFO"


def _counts(trace: Trace, status: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    if trace.rows:
        counts["Predictions"] = trace.rows
    if trace.untokened:
        counts["NoFeedbackToken"] = trace.untokened
    if trace.captured.lost:
        counts["CaptureLost"] = trace.captured.lost
    if trace.labels:
        counts["Labels"] = trace.labels
    if status >= 400:
        counts["Errors" if status >= 500 else "Refused"] = 1
    if trace.refresh is not None:
        counts["StaleModel"] = 1
    if trace.challenger is not None:
        counts["ChallengerErrors" if trace.challenger == "failed" else "ChallengerOff"] = 1
    if trace.unverified:
        counts["IntegrityFailure"] = 1
    return counts


@lru_cache(maxsize=64)
def _metrics(counts: tuple[str, ...], by_model: bool) -> str:
    """Which members of the line are metrics, as JSON (the CloudWatch embedded metric format): mostly the same ones."""
    metrics = [{"Name": "Latency", "Unit": "Milliseconds"}]
    metrics += [{"Name": name, "Unit": "Count"} for name in counts]
    directives = [_directive(["service", "model"] if by_model else ["service"], metrics)]
    if by_model and not set(counts).isdisjoint(WATCHED):
        watched = [{"Name": name, "Unit": "Count"} for name in counts if name in WATCHED]
        directives.append(_directive(["service"], watched))
    return to_json(directives).decode()


def _directive(dimensions: list[str], metrics: list[dict[str, str]]) -> dict[str, Any]:
    return {"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics}
