"""What a month costs follows from the table of prices and the usage, and from nothing else."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from perennial.cli import app
from perennial.costs import SCHEDULERS, Estimate, Usage, estimate, load_prices
from perennial.costs.__main__ import page
from perennial.costs.lines import Line, cents, money
from perennial.costs.prices import SEEN, regions
from perennial.costs.serving import billed_ms
from perennial.costs.usage import Assumptions
from perennial.errors import SettingsError
from perennial.spec import Job

ROOT = Path(__file__).parents[2]
EAST = load_prices("us-east-1")
GROWING = ("predictions", "rows", "labels", "visits", "trainings", "storage_gb", "models", "alarms", "keys")


def of(**usage: object) -> Estimate:
    return estimate(Usage.of(**usage), EAST)


def line(found: Estimate, group: str, what: str) -> Line:
    (one,) = [each for each in found.lines if (each.group, each.what) == (group, what)]
    return one


def test_at_rest_only_storage_and_the_key_cost_anything() -> None:
    found = of(storage_gb=100)
    charged = {each.price.key: each.dollars for each in found.lines if each.dollars}
    assert charged == {"s3.gb_months": Decimal("2.300"), "kms.keys": Decimal("1.00")}
    assert found.dollars == found.at_rest == Decimal("3.30")
    assert of(storage_gb=0, keys=0).dollars == 0


def test_what_is_free_for_ever_is_said_and_never_hidden() -> None:
    found = of()
    standing = {each.what: each for each in found.lines if each.free}
    assert set(standing) == {"alarms", "dashboard", "scoring queue, asked while empty"}
    assert found.leaning == Decimal("1.00") + Decimal("3.00") + Decimal("648000") * Decimal("0.40") / 10**6
    assert of(alarms=12).at_rest - of(alarms=10).at_rest == Decimal("0.20")


def test_a_million_predictions_by_hand() -> None:
    found = of(predictions=1_000_000)
    assert billed_ms(Assumptions()) == 2 + 12  # ceil(1 + 0.132 / 0.405) and ceil(0.01 * 474 / 0.405)
    assert line(found, "predictions", "HTTP API").dollars == 1
    assert line(found, "predictions", "API function, time").dollars == Decimal("0.1866676")
    assert line(found, "predictions", "S3, is there a newer version").quantity == 30 * 86_400 / 15 * 2
    assert line(found, "predictions", "logs, taken in").quantity == Decimal("2.041")
    assert line(found, "predictions", "S3, captured lines").dollars == 5
    assert line(found, "predictions", "metrics").dollars == Decimal("1.20")


def test_a_thousand_million_rows_by_hand() -> None:
    found = of(rows=1_000_000_000)
    seconds = 1e9 / 429_000 / 0.7 + 1000 * 1.5
    time = line(found, "rows", "scoring function, time")
    assert float(time.dollars) == pytest.approx(seconds * 1769 / 1024 * 0.0000133334)
    assert line(found, "rows", "S3, reading").quantity == 46_254 + 10_000  # 194 GB by 4 MiB, rounded up
    assert line(found, "rows", "S3, writing").quantity == 9_000


def test_the_ways_to_start_trainings_by_hand() -> None:
    schedule = {each: of(trainings=30, scheduler=each).of("schedule") for each in SCHEDULERS}
    assert schedule["none"] == 0
    hour = Decimal("0.04048") + 4 * Decimal("0.004445") + Decimal("0.005")
    whole, steps = Decimal(30 * 5 + 120 * 2) / 60, Decimal(30 * (5 + 11) + 120 * 6) / 60
    assert schedule["batch"] == pytest.approx(whole * hour + Decimal("0.20") + Decimal(150) / 10**6)
    machine = 730 * (Decimal("0.0336") + Decimal("0.005")) + 30 * Decimal("0.08")
    asked = Decimal(129_600) * Decimal("0.40") / 10**6
    assert schedule["instance"] == pytest.approx(machine + asked + steps * hour + Decimal("0.10"))
    assert schedule["mwaa"] > Decimal("0.29") * 730 > schedule["instance"] > schedule["batch"]


def test_a_job_is_as_large_as_a_spec_has_it() -> None:
    job = Job()
    assert (Assumptions().job_vcpus, Assumptions().job_gb) == (job.vcpu, job.memory / 1024)


usages = st.fixed_dictionaries(
    {
        "predictions": st.integers(0, 10**9),
        "rows": st.integers(0, 10**12),
        "labels": st.integers(0, 10**9),
        "visits": st.integers(0, 10**9),
        "trainings": st.integers(0, 10**6),
        "models": st.integers(1, 1000),
        "storage_gb": st.integers(0, 10**6),
        "alarms": st.integers(0, 100),
        "keys": st.integers(0, 10),
        "scheduler": st.sampled_from(SCHEDULERS),
    }
)


@settings(max_examples=40, deadline=None)
@given(usages, st.sampled_from(GROWING), st.integers(1, 10**9), st.sampled_from(regions()), st.booleans())
def test_more_never_costs_less(usage: dict[str, object], name: str, more: int, region: str, free_tier: bool) -> None:
    prices = load_prices(region)
    least = Usage.of(**usage)
    bounded = min(more, 10**6 - 1000) if name in ("models", "alarms", "keys") else more
    most = least.model_copy(
        update={name: min(getattr(least, name) + bounded, 10**9 if name == "trainings" else 10**15)}
    )
    before = estimate(least, prices, free_tier=free_tier)
    assert 0 <= before.dollars <= estimate(most, prices, free_tier=free_tier).dollars
    whole = sum((each.price.of(each.quantity) for each in before.lines), Decimal(0))
    assert abs(before.dollars + before.leaning - whole) < Decimal("1e-12")


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 10**6), st.integers(2, 1000))
def test_what_is_counted_by_use_grows_with_it_and_no_faster(count: int, times: int) -> None:
    files = 1_000_000  # whole files, since a part of one is charged as one
    for name, each in (("labels", count), ("visits", count), ("trainings", count), ("rows", count * files)):
        one, many = of(**{name: each}), of(**{name: each * times})
        group = name
        alike = [pair for pair in zip(one.lines, many.lines, strict=True) if pair[0].group == group]
        assert alike
        for a, b in alike:
            if a.what == "S3, reading" and name == "rows":  # the last block of a file is rounded up once
                assert abs(b.quantity - a.quantity * times) <= times
            elif "time" in a.what:
                assert float(b.dollars) == pytest.approx(float(a.dollars) * times)
            else:
                assert b.dollars == a.dollars * times


@settings(max_examples=40, deadline=None)
@given(usages)
def test_a_free_allowance_is_taken_once_and_only_saves(usage: dict[str, object]) -> None:
    dear, cheap = of(**usage), estimate(Usage.of(**usage), EAST, free_tier=True)
    assert cheap.dollars <= dear.dollars
    taken: dict[str, Decimal] = {}
    for each in cheap.lines:
        taken[each.price.key] = taken.get(each.price.key, Decimal(0)) + min(each.free, each.quantity)
    assert all(quantity <= EAST[key].always_free for key, quantity in taken.items())


@settings(max_examples=40, deadline=None)
@given(st.decimals(0, 10**9, places=9))
def test_cents_are_rounded_once_and_by_half_a_cent_at_most(dollars: Decimal) -> None:
    assert abs(cents(dollars) - dollars) <= Decimal("0.005")
    assert (money(dollars) == "$0.00") == (dollars == 0)


def test_a_sum_is_rounded_and_not_its_parts() -> None:
    found = of(predictions=1, rows=1, labels=1, visits=1, trainings=1, storage_gb=0, keys=0)
    assert all(cents(each.dollars) == 0 for each in found.lines)
    assert money(found.dollars) == "<$0.01" or found.dollars >= Decimal("0.005")
    assert cents(found.dollars) == cents(sum((each.dollars for each in found.lines), Decimal(0)))


@pytest.mark.parametrize("region", regions())
def test_every_price_says_what_it_is_worth(region: str) -> None:
    prices = load_prices(region)
    assert {"us-east-1", "eu-central-1"} <= set(regions())
    for price in prices.of.values():
        assert price.dollars > 0 and price.per > 0 and price.unit
        assert re.fullmatch(r"https://\S+", price.source)
        assert re.fullmatch(r"20\d\d-\d\d(-\d\d)?", price.read)
    assert any(price.certainty in SEEN for price in prices.of.values())


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        (["--predictions", "-1"], "--predictions"),
        (["--rows", "nan"], "--rows"),
        (["--rows", "inf"], "--rows"),
        (["--labels", "0.5"], "--labels"),
        (["--storage-gb", "nan"], "--storage-gb"),
        (["--models", "0"], "--models"),
        (["--scheduler", "cron"], "--scheduler"),
        (["--region", "mars-1"], "mars-1"),
    ],
)
def test_a_wrong_number_is_named(arguments: list[str], names: str) -> None:
    result = CliRunner().invoke(app, ["cost", *arguments])
    assert isinstance(result.exception, SettingsError)
    assert names in str(result.exception)


def test_the_command_says_the_same_to_people_and_to_programs() -> None:
    arguments = ["cost", "--predictions", "1e6", "--rows", "1e9", "--stage-parts", "mwaa", "--region", "eu-central-1"]
    said = CliRunner().invoke(app, arguments).stdout
    told = json.loads(CliRunner().invoke(app, [*arguments, "--json"]).stdout)
    assert f"${Decimal(told['total']):,}" in said
    assert told["usage"]["scheduler"] == "mwaa"
    assert cents(sum((Decimal(each["dollars"]) for each in told["lines"]), Decimal(0))) == Decimal(told["total"])
    assert {each["price"]["certainty"] for each in told["lines"]} >= {"memory", "estimate"}
    assert "mwaa.micro_hours" in said


def test_the_page_on_airflow_states_the_same_figures() -> None:
    written = (ROOT / "docs/airflow.md").read_text(encoding="utf-8")
    for scheduler in SCHEDULERS[1:]:
        assert f"| {money(of(trainings=30, scheduler=scheduler).of('schedule'))} |" in written, scheduler


def test_the_page_on_costs_is_what_the_command_says() -> None:
    written = (ROOT / "docs/costs.md").read_text(encoding="utf-8")
    assert written == page(), "write it anew: python -m perennial.costs > docs/costs.md"
    for command, shown in re.findall(r"```\n\$ perennial (.+)\n((?s:.+?))\n```", written):
        assert CliRunner().invoke(app, command.split()).stdout.rstrip() == shown
