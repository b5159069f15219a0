"""One structured log line and one set of metrics a request. Never a value of the input."""

from __future__ import annotations

import os
import sys
from typing import Any

from aws_lambda_powertools.logging import Logger

from lambdas.api.trace import Trace

SERVICE = "perennial-api"
NAMESPACE = "Perennial"


class Telemetry:
    """Writes to stdout, which CloudWatch reads: log lines, and metrics in the embedded metric format (EMF).

    Metrics are written only in a Lambda function, where something turns the lines into metrics. The
    model is a dimension only once it is known to exist, so clients cannot make up dimensions.
    """

    def __init__(self, *, emit_metrics: bool | None = None) -> None:
        self._logger = Logger(service=SERVICE, level=os.environ.get("POWERTOOLS_LOG_LEVEL", "INFO"), stream=sys.stdout)
        in_lambda = "AWS_LAMBDA_FUNCTION_NAME" in os.environ
        self._emit_metrics = in_lambda if emit_metrics is None else emit_metrics

    def record(self, trace: Trace, method: str, route: str, status: int, milliseconds: float) -> None:
        """Write what there is to say of one answered request."""
        line: dict[str, Any] = {
            "method": method,
            "route": route,
            "status": status,
            "ms": round(milliseconds, 3),
            "request_id": trace.request_id,
            "correlation_id": trace.correlation_id,
            "cold_start": trace.cold_start,
        }
        if trace.model is not None:
            line |= {"model": trace.model, "version": trace.version, "generation": trace.generation}
        if trace.rows:
            line["rows"] = trace.rows
        if trace.error is not None:
            line["error"] = trace.error
        if trace.refresh is not None:
            line["refresh_failure"] = trace.refresh
        write = self._logger.error if status >= 500 else self._logger.warning if trace.refresh else self._logger.info
        write("request", extra=line)
        if self._emit_metrics:
            self._measure(trace, status, milliseconds)

    def _measure(self, trace: Trace, status: int, milliseconds: float) -> None:
        from aws_lambda_powertools.metrics import EphemeralMetrics  # not paid for where no metrics are written

        metrics = EphemeralMetrics(namespace=NAMESPACE, service=SERVICE)
        if trace.model is not None:
            metrics.add_dimension("model", trace.model)
        metrics.add_metric("Latency", "Milliseconds", milliseconds)
        metrics.add_metric("Predictions", "Count", trace.rows)
        metrics.add_metric("Refused", "Count", int(400 <= status < 500))
        metrics.add_metric("Errors", "Count", int(status >= 500))
        metrics.add_metric("StaleModel", "Count", int(trace.refresh is not None))
        metrics.flush_metrics()
