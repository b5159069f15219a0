"""Locks pin every package with hashes, agree with each other, and know no machine or registry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

LOCKS = Path(__file__).parents[2] / "requirements"
NAMES = sorted(path.stem for path in LOCKS.glob("*.txt"))
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[a-z,_-]+\])?==([^ ;\\]+)")


def pins(name: str) -> dict[str, str]:
    lines = (LOCKS / f"{name}.txt").read_text().splitlines()
    return {found[1]: found[2] for line in lines if (found := PIN.match(line))}


def test_every_environment_has_one() -> None:
    assert {"serve", "score", "train", "monitor", "airflow", "dev", "ministack", "sam", "node", "uv", "build"} <= set(
        NAMES
    )


@pytest.mark.parametrize("name", NAMES)
def test_every_package_is_pinned_with_hashes(name: str) -> None:
    text = (LOCKS / f"{name}.txt").read_text()
    entries = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)
    assert entries[0] == ""
    for entry in entries[1:]:
        assert PIN.match(entry), entry.splitlines()[0]
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", entry), entry.splitlines()[0]


@pytest.mark.parametrize("name", NAMES)
def test_no_registry_and_no_machine_is_named(name: str) -> None:
    text = (LOCKS / f"{name}.txt").read_text()
    assert not re.search(r"https?://|file:|index-url|find-links|(^|\s)/\w", text)


@pytest.mark.parametrize("name", ["serve", "score", "train"])
def test_what_is_tested_is_what_runs(name: str) -> None:
    tested = pins("dev")
    assert {package: tested.get(package) for package in pins(name)} == pins(name)


def test_the_emulator_is_one_exact_version() -> None:
    assert "ministack==1.5.33" in (LOCKS / "ministack.in").read_text()
    assert pins("ministack")["ministack"] == "1.5.33"


@pytest.mark.parametrize("package", ["scikit-learn", "pandas", "scipy", "pyarrow", "boto3", "botocore", "cloudpickle"])
def test_a_lambda_never_installs_what_it_must_not_load(package: str) -> None:
    assert package not in pins("serve")
