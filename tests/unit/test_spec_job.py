"""Where the steps of a model run, as its spec says."""

from __future__ import annotations

import itertools
import re
from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from perennial.errors import SpecError
from perennial.spec import Job, ModelSpec
from perennial.spec_job import FARGATE, JobSize, told
from perennial.spec_source import parse_spec

DOCS = Path(__file__).resolve().parents[2] / "docs/spec.md"
SPEC = """
name: flowers
task: regression
target: {{column: y}}
features: {{x: {{type: number}}}}
candidates: {{line: {{estimator: sklearn.linear_model.Ridge}}}}
job: {job}
"""


def spec(job: str) -> ModelSpec:
    return parse_spec(SPEC.format(job=job))


def refusal(job: str) -> SpecError:
    with pytest.raises(SpecError) as caught:
        spec(job)
    return caught.value


def test_steps_run_beside_the_scheduler_unless_a_spec_says_otherwise() -> None:
    assert spec("{}").job == Job(runner="local", vcpu=1, memory="4 GB", timeout=timedelta(hours=6))


@pytest.mark.parametrize(
    ("said", "mebibytes"), [("4 GB", 4096), ("4GB", 4096), ("6144 MB", 6144), ("5120", 5120), ("2 gb", 2048)]
)
def test_memory_is_said_in_gigabytes_megabytes_or_as_a_number(said: str, mebibytes: int) -> None:
    assert spec(f"{{memory: {said}}}").job.memory == mebibytes


@pytest.mark.parametrize("said", ["4 TB", "4.5 GB", "much", "true", "-4 GB", "4 GiB"])
def test_what_is_no_memory_is_told_with_its_line(said: str) -> None:
    error = refusal(f"{{memory: {said}}}")
    assert (error.line, error.key) == (7, "job.memory") and "such as 4 GB" in error.message


def test_what_fargate_has_is_taken_and_what_it_has_not_is_refused_with_what_goes() -> None:
    for vcpu, sizes in FARGATE.items():
        for memory in sizes:
            if (vcpu, memory) != (0.25, 1536):
                assert not JobSize(vcpu=vcpu, memory=memory).large
        for memory in (sizes[0] - 1, sizes[0] + 1, sizes[-1] + 1):
            if memory <= 120 * 1024:
                with pytest.raises(ValidationError, match=re.escape(told(sizes[0]))):
                    JobSize(vcpu=vcpu, memory=memory)
    assert JobSize(vcpu=0.25, memory=2048).vcpu == 0.25
    assert "16 GB to 60 GB in steps of 4 GB" in refusal("{vcpu: 8, memory: 17 GB}").message
    assert "0.25, 0.5, 1, 2, 4, 8, 16 vcpu" in refusal("{vcpu: 3, memory: 8 GB}").message


def test_the_table_of_the_reference_is_that_of_fargate() -> None:
    rows = dict(re.findall(r"^\| ([\d.]+) \| (\d[^|]*GB[^|]*) \|$", DOCS.read_text(), re.MULTILINE))
    assert [float(vcpu) for vcpu in rows] == list(FARGATE)
    for vcpu, row in itertools.islice(rows.items(), 1, None):
        sizes = FARGATE[float(vcpu)]
        least, most = (int(number) for number in re.findall(r"(\d+)(?: GB| to)", row)[:2])
        assert (least, most) == (sizes[0] // 1024, sizes[-1] // 1024), row
        assert (f"steps of {sizes.step // 1024}" in row) == (sizes.step > 1024)


@pytest.mark.parametrize("job", ["{vcpu: 16, memory: 128 GB}", "{vcpu: 32, memory: 64 GB}", "{memory: 200 GB}"])
def test_more_than_fargate_has_is_for_an_instance(job: str) -> None:
    assert spec(job).job.large


@pytest.mark.parametrize(
    "job", ["{vcpu: 17.5, memory: 64 GB}", "{vcpu: 32, memory: 2000 GB}", "{memory: 2000 GB}", "{vcpu: 500}"]
)
def test_more_than_an_instance_has_is_refused(job: str) -> None:
    assert "192" in refusal(job).message


@pytest.mark.parametrize("said", ["30s", "15d", "soon"])
def test_a_time_that_batch_does_not_keep_is_refused(said: str) -> None:
    assert refusal(f"{{timeout: {said}}}").key == "job.timeout"


def test_a_training_may_take_more_than_the_other_steps() -> None:
    job = spec("{vcpu: 2, memory: 8 GB, train: {vcpu: 16, memory: 64 GB, timeout: 1d}}").job
    assert (job.size("train").vcpu, job.size("train").timeout) == (16, timedelta(days=1))
    assert (job.size("snapshot").vcpu, job.size("snapshot").memory) == (2, 8192)
    assert spec("{vcpu: 2, memory: 8 GB}").job.size("train").vcpu == 2


def test_where_a_model_is_made_is_no_part_of_what_it_is() -> None:
    here, there = spec("{}"), spec("{runner: batch, memory: 8 GB}")
    assert here.digest() == there.digest() and here != there
    assert "job" not in there.model_dump()


def test_weights_of_this_machine_are_refused_where_jobs_run_elsewhere() -> None:
    text = """
name: pneumonia
task: binary
input: image
target: {{column: label}}
candidates: {{net: {{torch: resnet18, weights: {weights}}}}}
job: {{runner: batch}}
"""
    with pytest.raises(SpecError, match=r"use s3://bucket/key") as caught:
        parse_spec(text.format(weights="weights.pt"))
    assert caught.value.key == "candidates.net.weights"
    assert parse_spec(text.format(weights="s3://lake/weights.pt")).job.runner == "batch"
