"""One structured log line a request, which carries the request's metrics too. Never a value of the input.

The line is powertools' own; in a Lambda function it has an ``_aws`` part as well, CloudWatch's embedded
metric format, so that one line is a log entry and metrics at once, for a third of what writing two costs.
"""

from __future__ import annotations

import logging
import os
import sys
from datetime import UTC, datetime
from typing import IO, Any

from aws_lambda_powertools.logging import Logger
from aws_lambda_powertools.logging.formatter import LambdaPowertoolsFormatter
from pydantic_core import to_json

from lambdas.api.trace import Trace

SERVICE = "perennial-api"
NAMESPACE = "Perennial"


class _Stdout(logging.StreamHandler[IO[str]]):
    """Writes to whatever stdout is when a line is written, as ``print`` does."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> IO[str]:  # type: ignore[override]  # read-only on purpose
        return sys.stdout


class _Formatter(LambdaPowertoolsFormatter):
    """powertools' own format; a request's line is written straight away, since it is on every request's path."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] | None = getattr(record, "request", None)
        if line is None:
            return str(super().format(record))
        head = {
            "level": record.levelname,
            "message": record.msg,
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "service": SERVICE,
        }
        return to_json(head | line).decode()


class Telemetry:
    """Writes log lines to stdout, which CloudWatch reads.

    Metrics are written only in a Lambda function, where something turns the lines into metrics. The
    model is a dimension only once it is known to exist, so clients cannot make up dimensions.
    """

    def __init__(self, *, emit_metrics: bool | None = None) -> None:
        level = os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO")
        self._logger: Any = Logger(
            service=SERVICE, level=level, logger_handler=_Stdout(), logger_formatter=_Formatter(service=SERVICE)
        )
        in_lambda = "AWS_LAMBDA_FUNCTION_NAME" in os.environ
        self._emit_metrics = in_lambda if emit_metrics is None else emit_metrics

    def record(self, trace: Trace, method: str, route: str, status: int, milliseconds: float) -> None:
        """Write what there is to say of one answered request. What did not happen is neither said nor counted."""
        line: dict[str, Any] = {
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
        if self._emit_metrics:
            line["_aws"] = _embedded(counts, by_model=trace.model is not None, milliseconds=int(trace.at * 1000))
        write = self._logger.error if status >= 500 else self._logger.warning if trace.refresh else self._logger.info
        write("request", extra={"request": line})


def _counts(trace: Trace, status: int) -> dict[str, int]:
    counts: dict[str, int] = {}
    if trace.rows:
        counts["Predictions"] = trace.rows
    if status >= 400:
        counts["Errors" if status >= 500 else "Refused"] = 1
    if trace.refresh is not None:
        counts["StaleModel"] = 1
    return counts


def _embedded(counts: dict[str, int], *, by_model: bool, milliseconds: int) -> dict[str, Any]:
    """Which members of the line are metrics (the CloudWatch embedded metric format, 2016)."""
    metrics = [{"Name": "Latency", "Unit": "Milliseconds"}]
    metrics += [{"Name": name, "Unit": "Count"} for name in counts]
    dimensions = ["service", "model"] if by_model else ["service"]
    directive = {"Namespace": NAMESPACE, "Dimensions": [dimensions], "Metrics": metrics}
    return {"Timestamp": milliseconds, "CloudWatchMetrics": [directive]}
