"""What predictions, labels and visits of the form cost."""

from __future__ import annotations

import math
from collections.abc import Iterator
from decimal import Decimal

from perennial.costs.lines import Line, number
from perennial.costs.prices import Prices
from perennial.costs.usage import DAYS, HOURS, Assumptions, Usage

GB = Decimal(10**9)


def billed_ms(assumed: Assumptions) -> int:
    """Milliseconds that Lambda charges for a prediction, cold starts by their share; it rounds up to whole ones."""
    processor = assumed.speed * assumed.api_gb * 1024 / 1769
    warm = math.ceil(assumed.around_ms + assumed.warm_ms / processor)
    return warm + math.ceil(assumed.cold_share * assumed.cold_ms / processor)


def prediction_lines(usage: Usage, prices: Prices, assumed: Assumptions) -> Iterator[Line]:
    """Each prediction is a request of its own; captured lines are written as if each came alone."""
    count, each = Decimal(usage.predictions), f"{usage.predictions:,} predictions"
    ms, memory = billed_ms(assumed), number(assumed.api_gb)
    yield Line("predictions", "HTTP API", prices["api.requests"], count, each)
    yield Line("predictions", "API function, calls", prices["lambda.calls"], count, each)
    yield Line(
        "predictions", "API function, time", prices["lambda.gb_seconds"], count * ms / 1000 * memory,
        f"{each} x {ms} ms x {memory:g} GB",
    )  # fmt: skip
    yield Line(
        "predictions", "S3, is there a newer version", prices["s3.gets"], Decimal(looks(usage, assumed)),
        f"at most one each {assumed.refresh_seconds:g} s, model and server, and one a prediction",
    )  # fmt: skip
    log = assumed.line_bytes + assumed.other_log_bytes
    yield Line("predictions", "logs, taken in", prices["logs.gb"], count * log / GB, f"{each} x {log:,} bytes")
    yield Line(
        "predictions", "logs, kept", prices["logs.gb_months"], count * log / GB * usage.log_days / DAYS,
        f"for {usage.log_days} days, uncompressed",
    )  # fmt: skip
    yield Line("predictions", "capture function, calls", prices["lambda.calls"], count, "at most one a prediction")
    seconds = count * number(assumed.capture_ms) / 1000
    yield Line(
        "predictions", "capture function, time", prices["lambda.gb_seconds"], seconds * number(assumed.capture_gb),
        f"{assumed.capture_ms:g} ms x {assumed.capture_gb:g} GB each",
    )  # fmt: skip
    yield Line("predictions", "S3, captured lines", prices["s3.puts"], count, "at most one object a prediction")
    hours = Decimal(min(usage.predictions, HOURS * usage.models)) / HOURS
    yield Line(
        "predictions", "metrics", prices["metrics"], hours * assumed.metrics,
        f"{assumed.metrics} of each model, for each hour with a prediction",
    )  # fmt: skip
    yield Line("predictions", "events of these objects", prices["events"], count, "one each")
    sent = count * assumed.answer_bytes / GB
    yield Line("predictions", "answers", prices["transfer.gb"], sent, f"{each} x {assumed.answer_bytes} bytes")


def looks(usage: Usage, assumed: Assumptions) -> int:
    """How often servers look at aliases in a month, at most."""
    by_time = math.floor(DAYS * 86_400 / assumed.refresh_seconds) * usage.models * assumed.servers
    return min(usage.predictions, by_time)


def label_lines(usage: Usage, prices: Prices, assumed: Assumptions) -> Iterator[Line]:
    """A label is a request, a function's call and an object that is put once."""
    count, each = Decimal(usage.labels), f"{usage.labels:,} labels"
    ms, log = billed_ms(assumed), assumed.other_log_bytes
    yield Line("labels", "HTTP API", prices["api.requests"], count, each)
    yield Line("labels", "function, calls", prices["lambda.calls"], count, each)
    time = count * ms / 1000 * number(assumed.api_gb)
    yield Line("labels", "function, time", prices["lambda.gb_seconds"], time, f"{each} x {ms} ms")
    yield Line("labels", "S3, labels", prices["s3.puts"], count, "one object each")
    yield Line("labels", "events of these objects", prices["events"], count, "one each")
    yield Line("labels", "logs, taken in", prices["logs.gb"], count * log / GB, f"{each} x {log:,} bytes")


def visit_lines(usage: Usage, prices: Prices, assumed: Assumptions) -> Iterator[Line]:
    """Pages by CloudFront; what visitors then predict is counted as predictions."""
    count, files = Decimal(usage.visits), assumed.visit_requests
    each = f"{usage.visits:,} visits x {files} files"
    yield Line("visits", "CloudFront, requests", prices["cloudfront.requests"], count * files, each)
    sent = count * assumed.visit_bytes / GB
    yield Line("visits", "CloudFront, sent", prices["cloudfront.gb"], sent, f"{assumed.visit_bytes:,} bytes a visit")
    yield Line("visits", "S3, files", prices["s3.gets"], count * files, "at most each of them")
