"""``python -m perennial.costs > docs/costs.md``: the page on costs, every figure of it from the command it names."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from perennial.costs import Usage, estimate, load_prices, words
from perennial.costs.lines import Line, money
from perennial.costs.prices import CERTAINTIES, SEEN, Prices, regions
from perennial.costs.standing import endpoints_instead, way_out
from perennial.costs.usage import Assumptions, Scheduler

HEAD = """# What it costs

`perennial cost` reckons a month from a dated table of prices (`src/perennial/costs/prices.json`) and says each line's
maths. It asks nobody. Nothing here was measured on AWS: times were measured on the machine of the README's figures, and
what was not measured is a bound or a guess that is named as such. No allowance is taken for granted but for what stands
there unused, see below; `--free-tier` takes all of them.

This page is written by `python -m perennial.costs`, and a test compares the two.
"""
REST = """
## At rest

A stage that nobody uses costs its storage and the key that signs versions. Alarms (ten at most), the dashboard and
Lambda's looking into the empty scoring queue stay within what AWS never charges an account for; where other things of
the account have used that up, the last line comes on top.
"""
SCHEDULERS: tuple[tuple[Scheduler, str], ...] = (
    ("none", "`perennial cycle` and `perennial monitor` from a machine you have"),
    ("batch", "EventBridge Scheduler and AWS Batch (`infra/scheduler.yaml`)"),
    ("instance", "Airflow on one instance (`infra/airflow-instance.yaml`)"),
    ("mwaa", "Amazon MWAA, its smallest class (`infra/mwaa.yaml`)"),
)
WAYS = """
## What starts trainings and monitoring

One model, trained once a day for five minutes and looked at every six hours: `perennial cost --trainings 30
--scheduler ...`. A month of {region}, beside what the use of the model costs:

| | dollars a month |
|---|---|
{rows}

MWAA's network has one NAT gateway, which is {nat} a month with its address and a few GB of traffic; S3 is reached past
it by a gateway endpoint, which is free. A network without a way out would need {count}, which is
{endpoints}, and could install nothing from PyPI.
"""


def page() -> str:
    """The whole page, as Markdown."""
    return "".join(_parts())


def _parts() -> Iterator[str]:
    prices = load_prices("us-east-1")
    yield HEAD
    yield REST + _shown("perennial cost", Usage(), prices)
    usage = Usage(predictions=10**6, rows=10**9)
    yield "\n## A million predictions and a thousand million rows\n"
    yield _shown("perennial cost --predictions 1e6 --rows 1e9", usage, prices)
    yield _ways(prices)
    yield "\n## Prices\n\n" + "\n".join(f"- *{kind}*: {what}." for kind, what in CERTAINTIES.items()) + "\n\n"
    yield "\n".join(_table()) + "\n\n## Assumptions\n\n| | |\n|---|---|\n"
    yield "".join(f"| `{name}` | {value:,.12g} |\n" for name, value in Assumptions().items())


def _shown(command: str, usage: Usage, prices: Prices) -> str:
    return f"\n```\n$ {command}\n{words.text(estimate(usage, prices))}\n```\n"


def _ways(prices: Prices) -> str:
    rows = []
    for scheduler, what in SCHEDULERS:
        found = estimate(Usage(trainings=30, scheduler=scheduler), prices)
        rows.append(f"| {what} | {money(found.of('schedule'))} |")
    nat = sum((line.dollars for line in way_out(prices, Assumptions())), start=_nothing(prices).dollars)
    instead = endpoints_instead(prices)
    return WAYS.format(
        region=prices.region, rows="\n".join(rows), nat=money(nat), count=f"{instead.what}, {instead.how}",
        endpoints=money(instead.dollars),
    )  # fmt: skip


def _nothing(prices: Prices) -> Line:
    instead = endpoints_instead(prices)
    return Line("schedule", "nothing", instead.price, instead.quantity * 0, "")


def _table() -> Iterator[str]:
    names = regions()
    tables = [load_prices(name) for name in names]
    yield f"| | {' | '.join(names)} | for | free for ever | where to look |"
    yield "|---|" + "---|" * (len(names) + 3)
    for key, price in tables[0].of.items():
        told = " | ".join(f"${table[key].dollars} *{table[key].certainty}*" for table in tables)
        read = next((f", {table[key].read}" for table in tables if table[key].certainty in SEEN), "")
        each = "" if price.per == 1 else f"{price.per:,} "
        free = f"{price.always_free:,}" if price.always_free else ""
        yield f"| `{key}` | {told} | {each}{price.unit} | {free} | <{price.source}>{read} |"


if __name__ == "__main__":
    sys.stdout.write(page())
