"""Schedules of specs mean the same at EventBridge, and what they start runs a command on the spec that was deployed."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.deploy.eventbridge import expressions
from perennial.deploy.schedules import planned, scheduler_template
from perennial.deploy.template import read_template
from perennial.jobs.specs import SpecFile
from perennial.schedule import PRESETS, schedule
from perennial.spec_source import parse_spec

ROOT = Path(__file__).parents[2]
IRIS = ROOT / "examples/iris/model.yaml"
DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")


@pytest.mark.parametrize(
    ("cron", "told"),
    [
        ("@daily", ("cron(0 0 * * ? *)",)),
        ("@once", ()),
        ("0 */6 * * *", ("cron(0 0,6,12,18 * * ? *)",)),
        ("30 2 * * 1-5", ("cron(30 2 ? * MON,TUE,WED,THU,FRI *)",)),
        ("0 6 * * 7", ("cron(0 6 ? * SUN *)",)),
        ("0 6 * * sat-7", ("cron(0 6 ? * SUN,SAT *)",)),
        ("*/15 * 1 jan,jul *", ("cron(0,15,30,45 * 1 1,7 ? *)",)),
        ("0 0 1,15 * mon", ("cron(0 0 1,15 * ? *)", "cron(0 0 ? * MON *)")),
        ("5/20 * * * *", ("cron(5,25,45 * * * ? *)",)),
    ],
)
def test_cron_becomes_what_eventbridge_reads(cron: str, told: tuple[str, ...]) -> None:
    if cron not in PRESETS and not cron.startswith("0 6 * * sat"):
        assert schedule(cron) == cron
    assert expressions(cron) == told


def test_every_preset_is_known() -> None:
    for preset in PRESETS:
        assert all(one.startswith("cron(") and len(one[5:-1].split()) == 6 for one in expressions(preset))


def fits(expression: str, moment: datetime) -> bool:
    """Whether EventBridge fires then, of lists, stars and question marks."""
    minute, hour, day, month, weekday, _ = expression[5:-1].split()
    assert (day == "?") != (weekday == "?")
    values = {minute: moment.minute, hour: moment.hour}
    pairs = [(minute, moment.minute), (hour, moment.hour), (day, moment.day), (month, moment.month)]
    assert values
    named = weekday in "*?" or DAYS[moment.isoweekday() % 7] in weekday.split(",")
    return named and all(field in "*?" or str(value) in field.split(",") for field, value in pairs)


def items(least: int, greatest: int) -> st.SearchStrategy[tuple[str, frozenset[int]]]:
    """A field of cron, and the numbers it means."""
    everything = frozenset(range(least, greatest + 1))
    number = st.integers(least, greatest)
    return st.one_of(
        st.just(("*", everything)),
        number.map(lambda n: (str(n), frozenset({n}))),
        st.integers(1, greatest).map(lambda n: (f"*/{n}", frozenset(range(least, greatest + 1, n)))),
        st.tuples(number, number).map(sorted).map(lambda p: (f"{p[0]}-{p[1]}", frozenset(range(p[0], p[1] + 1)))),
        st.tuples(number, number).map(lambda p: (f"{p[0]},{p[1]}", frozenset(p))),
    )


@settings(max_examples=150, deadline=None)
@given(
    items(0, 59), items(0, 23), items(1, 31), items(1, 12), items(0, 6),
    st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1)),
)  # fmt: skip
def test_both_fire_at_the_same_minutes(
    minute: tuple[str, frozenset[int]], hour: tuple[str, frozenset[int]], day: tuple[str, frozenset[int]],
    month: tuple[str, frozenset[int]], weekday: tuple[str, frozenset[int]], moment: datetime,
) -> None:  # fmt: skip
    cron = " ".join(field for field, _ in (minute, hour, day, month, weekday))
    by_month, by_week = moment.day in day[1], moment.isoweekday() % 7 in weekday[1]
    whole_month, whole_week = len(day[1]) == 31, len(weekday[1]) == 7
    on_the_day = by_month and by_week if whole_month or whole_week else by_month or by_week
    due = moment.minute in minute[1] and moment.hour in hour[1] and moment.month in month[1] and on_the_day
    assert any(fits(one, moment) for one in expressions(cron)) == due


def template_of(text: str) -> dict[str, Any]:
    spec = parse_spec(text)
    found = scheduler_template(
        read_template(ROOT / "infra/scheduler.yaml"), "prod", {spec.name: SpecFile(IRIS, spec, None)},
        {spec.name: "s3://bucket/iris/runs/specs/0.yaml"},
    )  # fmt: skip
    return {name: each for name, each in found["Resources"].items() if each["Type"] == "AWS::Scheduler::Schedule"}


def test_each_schedule_submits_its_command_with_the_spec_and_a_run_of_its_own() -> None:
    made = template_of(IRIS.read_text())
    spec = parse_spec(IRIS.read_text())
    assert [command for command, _ in planned(spec)] == ["cycle", "monitor"]
    for command, each in zip(("cycle", "monitor"), made.values(), strict=True):
        target = each["Properties"]["Target"]
        job = json.loads(target["Input"])
        assert job["ContainerOverrides"]["Command"] == [
            "python", "-m", "perennial.cli", command, "s3://bucket/iris/runs/specs/0.yaml",
            "--run", f"{command}-<aws.scheduler.execution-id>",
        ]  # fmt: skip
        assert (job["JobQueue"], job["JobDefinition"]) == ("perennial-prod-jobs", "perennial-prod-cycle")
        assert job["Timeout"]["AttemptDurationSeconds"] == 6 * 3600
        assert target["DeadLetterConfig"] == {"Arn": {"Fn::GetAtt": ["DeadQueue", "Arn"]}}


def test_one_process_may_do_what_trainer_and_promoter_may_and_submitters_nothing_else() -> None:
    resources = read_template(ROOT / "infra/scheduler.yaml")["Resources"]
    jobs = read_template(ROOT / "infra/stacks/jobs.yaml")["Resources"]
    mine = dict(granted(resources["CycleRole"]))
    # What databases answered, and what Spark is asked to score: no schedule of EventBridge does either.
    airflow = {"data/_perennial/staging/*.parquet", "data/*/batch/spark/*/request.json"}
    for role in ("TrainerRole", "PromoterRole"):
        for action, places in granted(jobs[role]):
            for place in set(places) - airflow:
                assert any(fnmatchcase(place, pattern) for pattern in mine[action]), (role, action, place)
    writable = mine["s3:PutObject"]
    for key in (
        "m/predictions/2026-01-01/a.jsonl",
        "m/feedback/2026-01-01/a.json",
        "m/landing/a.csv",
        "m/batch/in/a.csv",
    ):
        assert not any(fnmatchcase(f"data/{key}", pattern) for pattern in writable), key
    assert set(dict(granted(resources["SubmitRole"]))) == {"batch:SubmitJob", "sqs:SendMessage"}


def granted(role: dict[str, Any]) -> list[tuple[str, list[str]]]:
    """Action -> places, buckets by their last word; what is granted under a condition of the stack is left out."""
    found: dict[str, list[str]] = {}
    for policy in role["Properties"]["Policies"]:
        for statement in policy["PolicyDocument"]["Statement"]:
            if "Fn::If" in statement:
                continue
            actions, places = statement["Action"], statement["Resource"]
            for action in actions if isinstance(actions, list) else [actions]:
                for place in places if isinstance(places, list) else [places]:
                    if isinstance(place, dict) and "Fn::If" in place:
                        continue
                    found.setdefault(action, []).append(spelled(place))
    return list(found.items())


def spelled(place: Any) -> str:
    text = str(place.get("Fn::Sub", place) if isinstance(place, dict) else place).rsplit(":::", 1)[-1]
    for word, names in {
        "data": ("${DataBucketName}", "perennial-${Stage}-data-${AWS::AccountId}-${AWS::Region}"),
        "site": ("${SiteBucketName}", "perennial-${Stage}-site-${AWS::AccountId}-${AWS::Region}"),
        "topic": ("{'Ref': 'TopicArn'}",),
    }.items():
        for name in names:
            text = text.replace(name, word)
    return "topic" if text.endswith("-notices") else text


def test_a_day_is_never_both() -> None:
    start = datetime(2026, 3, 1)
    days = [start + timedelta(days=number) for number in range(31)]
    assert sum(any(fits(one, day) for one in expressions("0 0 1 * 1")) for day in days) == 1 + 5
