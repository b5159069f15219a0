"""A step as a process of its own: what reaches the caller, and what does not."""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

import pytest

from perennial.jobs import JobFailed, find_specs, run_step
from perennial.jobs.code import code_version

SPEC = """
name: shop
task: regression
target: {column: y}
features: {x: {type: number}}
candidates: {line: {estimator: sklearn.linear_model.Ridge}}
"""


@pytest.fixture
def spec(tmp_path: Path) -> Path:
    path = tmp_path / "shop" / "model.yaml"
    path.parent.mkdir()
    path.write_text(SPEC)
    return path


def fake_python(tmp_path: Path, script: str) -> str:
    """An interpreter that records how it was called."""
    path = tmp_path / "python"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_a_failing_step_carries_exit_code_and_reason(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PERENNIAL_BUCKET", raising=False)
    with pytest.raises(JobFailed, match="No bucket is named") as caught:
        run_step("snapshot", str(spec), "one")
    assert caught.value.exit_code == 2
    assert caught.value.final


def test_a_step_that_could_not_reach_s3_may_be_tried_again(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PERENNIAL_PYTHON", fake_python(tmp_path, "echo no route >&2; exit 10"))
    with pytest.raises(JobFailed, match="no route") as caught:
        run_step("snapshot", str(spec), "one")
    assert not caught.value.final


def test_arguments_result_and_progress_pass_through(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    script = f'echo "$@" > {tmp_path}/called; echo working; echo \'{{"ok": 1}}\' > "$9"'
    monkeypatch.setenv("PERENNIAL_PYTHON", fake_python(tmp_path, script))
    with caplog.at_level(logging.INFO, logger="perennial.jobs.local"):
        result = run_step("train", str(spec), "one", candidate="line", force=True)
    assert result == {"ok": 1}
    called = (tmp_path / "called").read_text()
    assert called.startswith(f"-m perennial.jobs train --spec {spec} --run one")
    assert called.rstrip().endswith("--candidate=line --force")
    assert "working" in caplog.messages


def test_the_callers_python_path_does_not_reach_the_job(
    spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    monkeypatch.setenv("PERENNIAL_PYTHON", fake_python(tmp_path, 'test -z "$PYTHONPATH" || exit 4; echo {} > "$9"'))
    assert run_step("snapshot", str(spec), "one") == {}


def test_specs_are_found_in_files_and_folders(spec: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.yaml"
    other.write_text(SPEC.replace("shop", "other"))
    found = find_specs(os.pathsep.join([str(tmp_path / "shop"), str(other)]))
    assert [one.name for one in found] == ["shop", "other"]
    assert all(one.error is None for one in found)


def test_a_broken_spec_is_returned_with_its_error(spec: Path) -> None:
    spec.write_text("name: [")
    (found,) = find_specs(str(spec.parent))
    assert found.spec is None and "model.yaml:1" in str(found.error)
    assert found.name == "shop"


def test_code_is_the_commit_of_the_folder_unless_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PERENNIAL_CODE", raising=False)
    assert code_version(tmp_path).startswith("perennial ")
    monkeypatch.setenv("PERENNIAL_CODE", "abc")
    assert code_version(tmp_path) == "abc"
