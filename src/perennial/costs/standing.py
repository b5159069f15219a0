"""What a stage costs at rest, and what starts its trainings and monitoring."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from perennial.costs.lines import Line, number
from perennial.costs.prices import Prices
from perennial.costs.usage import DAYS, HOURS, Assumptions, Usage

PRIVATE_ENDPOINTS = ("sqs", "logs", "monitoring", "kms", "airflow.api", "airflow.env", "batch", "sns", "secretsmanager")
"""Interface endpoints that Airflow in a network without a way out would need, S3's own being free."""
ZONES = 2


def rest_lines(usage: Usage, prices: Prices, assumed: Assumptions) -> Iterator[Line]:
    """All that is there whether it is used or not. What AWS gives every account for ever is set against it."""
    stored, keys = number(usage.storage_gb), Decimal(usage.keys)
    yield Line("at rest", "S3, storage", prices["s3.gb_months"], stored, f"{stored:g} GB")
    yield Line("at rest", "KMS, key that signs versions", prices["kms.keys"], keys, f"{keys} key")
    yield _within("alarms", Decimal(usage.alarms), prices, "alarms", f"{usage.alarms} alarms")
    yield _within("dashboard", Decimal(usage.dashboards), prices, "dashboards", f"{usage.dashboards} dashboard")
    waits = Decimal(DAYS * 86_400) * assumed.pollers / number(assumed.poll_seconds)
    yield _within(
        "scoring queue, asked while empty", waits, prices, "sqs.requests",
        f"Lambda asks {assumed.pollers} at a time, {assumed.poll_seconds:g} s each",
    )  # fmt: skip


def _within(what: str, quantity: Decimal, prices: Prices, key: str, how: str) -> Line:
    price = prices[key]
    return Line("at rest", what, price, quantity, f"{how}; {price.always_free:,} free for ever", price.always_free)


def training_lines(usage: Usage, prices: Prices, assumed: Assumptions) -> Iterator[Line]:
    """Requests and signatures; where they are computed is the scheduler's."""
    count, each = Decimal(usage.trainings), f"{usage.trainings:,} trainings"
    yield Line(
        "trainings",
        "S3, reading",
        prices["s3.gets"],
        count * assumed.training_gets,
        f"{each} x {assumed.training_gets}",
    )
    yield Line(
        "trainings",
        "S3, writing",
        prices["s3.puts"],
        count * assumed.training_puts,
        f"{each} x {assumed.training_puts}",
    )
    yield Line("trainings", "events of these objects", prices["events"], count * assumed.training_puts, "one each")
    yield Line("trainings", "KMS, signatures", prices["kms.signatures"], count, each)


def schedule_lines(usage: Usage, prices: Prices, assumed: Assumptions) -> Iterator[Line]:
    """What starts trainings and monitoring passes, and the machines these run on."""
    match usage.scheduler:
        case "none":
            return
        case "batch":
            yield from _jobs(usage, prices, assumed, steps=False)
            calls = Decimal(usage.trainings + _passes(usage, assumed))
            yield Line("schedule", "EventBridge Scheduler", prices["schedules"], calls, "trainings and passes")
            alarm = Decimal(1)
            yield Line("schedule", "alarm of its dead queue", prices["alarms"], alarm, "beyond those of template.yaml")
        case "instance":
            yield from _instance(prices, assumed)
            yield from _jobs(usage, prices, assumed, steps=True)
            yield _asking(prices, assumed)
        case "mwaa":
            yield from _mwaa(prices, assumed)
            yield from _jobs(usage, prices, assumed, steps=True)
            yield _asking(prices, assumed)


def _jobs(usage: Usage, prices: Prices, assumed: Assumptions, *, steps: bool) -> Iterator[Line]:
    """Containers on Fargate. With ``steps`` each step is one, whose start is paid; else a whole training is."""
    passes, least = _passes(usage, assumed), number(assumed.job_minutes)
    training, watching = number(usage.training_minutes), number(assumed.pass_minutes)
    if steps:
        training, watching = training + (assumed.training_jobs - 1) * least, assumed.pass_jobs * least
    hours = (usage.trainings * training + passes * watching) / 60
    told = f"{usage.trainings:,} trainings x {training:g} min, {passes:,} passes x {watching:g} min"
    vcpus, memory = number(assumed.job_vcpus), number(assumed.job_gb)
    yield Line(
        "schedule", "Fargate, processors", prices["fargate.vcpu_hours"], hours * vcpus, f"{told}, x {vcpus:g}"
    )  # fmt: skip
    yield Line("schedule", "Fargate, memory", prices["fargate.gb_hours"], hours * memory, f"the same x {memory:g} GB")
    yield Line("schedule", "Fargate, addresses", prices["ipv4.hours"], hours, "the same")
    image = number(assumed.image_gb)
    yield Line("schedule", "image of jobs", prices["ecr.gb_months"], image, f"about {image:g} GB in ECR")


def _passes(usage: Usage, assumed: Assumptions) -> int:
    """Monitoring passes in a month: four a day and model, as `monitor.schedule` says unless told otherwise."""
    return usage.models * assumed.passes_a_day * DAYS


def _instance(prices: Prices, assumed: Assumptions) -> Iterator[Line]:
    hours, disk = Decimal(HOURS), number(assumed.disk_gb)
    yield Line("schedule", "t4g.medium", prices["ec2.t4g_medium_hours"], hours, f"{HOURS} h")
    yield Line("schedule", "its disk", prices["ebs.gb_months"], disk, f"{disk:g} GB")
    yield Line("schedule", "its address", prices["ipv4.hours"], hours, f"{HOURS} h")


def _mwaa(prices: Prices, assumed: Assumptions) -> Iterator[Line]:
    hours = Decimal(HOURS)
    yield Line("schedule", "MWAA, mw1.micro", prices["mwaa.micro_hours"], hours, f"{HOURS} h")
    database, log = number(assumed.database_gb), number(assumed.airflow_log_gb)
    yield Line("schedule", "MWAA, database", prices["mwaa.gb_months"], database, f"{database:g} GB")
    yield Line("schedule", "MWAA, logs", prices["logs.gb"], log, f"about {log:g} GB")
    yield from way_out(prices, assumed)


def way_out(prices: Prices, assumed: Assumptions) -> Iterator[Line]:
    """One NAT gateway, beside S3's own endpoint, which is free."""
    hours, through = Decimal(HOURS), number(assumed.nat_gb)
    yield Line("schedule", "NAT gateway", prices["nat.hours"], hours, f"{HOURS} h")
    yield Line("schedule", "NAT gateway, traffic", prices["nat.gb"], through, f"about {through:g} GB; S3 goes past it")
    yield Line("schedule", "NAT gateway, address", prices["ipv4.hours"], hours, f"{HOURS} h")


def endpoints_instead(prices: Prices) -> Line:
    """What interface endpoints would cost in place of the NAT gateway: each, in each of two zones."""
    count = Decimal(len(PRIVATE_ENDPOINTS) * ZONES)
    told = f"{len(PRIVATE_ENDPOINTS)} x {ZONES} zones x {HOURS} h"
    return Line("schedule", "interface endpoints", prices["endpoint.hours"], count * HOURS, told)


def _asking(prices: Prices, assumed: Assumptions) -> Line:
    waits = Decimal(DAYS * 86_400) / number(assumed.poll_seconds)
    return Line(
        "schedule", "landing queue, asked by Airflow", prices["sqs.requests"], waits, "one at a time, 20 s each"
    )
