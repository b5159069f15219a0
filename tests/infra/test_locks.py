"""Locks pin every package with hashes, agree with each other, and know no machine or registry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "requirements"
ENVIRONMENTS = ROOT / "infra/setup/environments.py"
MAKE_LOCK = ROOT / "infra/setup/lock.py"
NAMES = sorted(path.stem for path in LOCKS.glob("*.txt"))
PIN = re.compile(r"^([a-z0-9][a-z0-9._-]*)(?:\[[a-z,_-]+\])?==([^ ;\\]+)")


def pins(name: str) -> dict[str, str]:
    lines = (LOCKS / f"{name}.txt").read_text().splitlines()
    return {found[1]: found[2] for line in lines if (found := PIN.match(line))}


def test_every_environment_has_one() -> None:
    named = {lock.removesuffix(".txt") for lock in re.findall(r'"([a-z]+\.txt)"', ENVIRONMENTS.read_text())}
    assert {"serve", "score", "train", "monitor", "mlflow", "airflow", "dev", "ministack", "sam"} | named <= set(NAMES)
    assert {"monitor", "mlflow", "spark", "vision", "dev", "uv"} <= named


def test_each_lock_is_made_by_make_lock() -> None:
    made = set(re.findall(r'^    \("([a-z-]+)", ', MAKE_LOCK.read_text(), re.MULTILINE))
    assert made == set(NAMES)


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


def test_spark_scores_with_what_is_tested() -> None:
    tested, runs = pins("dev"), pins("spark")
    assert {package: version for package, version in runs.items() if tested.get(package, version) != version} == {}
    assert set(pins("score")) - {"aws-lambda-powertools", "pillow"} <= set(runs)  # Spark scores no pictures


def test_pytorch_is_of_no_lock_and_what_it_needs_is() -> None:
    """One hash names one machine's build; an unlocked one would bring CUDA."""
    runs, tested = pins("vision"), pins("dev")
    assert not {package for package in runs if package.startswith(("torch", "nvidia", "triton"))}
    assert {"jinja2", "networkx", "sympy", "setuptools", "onnxscript", "transformers", "safetensors"} <= set(runs)
    assert {package: version for package, version in runs.items() if tested.get(package, version) != version} == {}


def test_emr_brings_its_own_spark() -> None:
    runs, image = pins("spark"), pins("spark-image")
    assert {package: version for package, version in runs.items() if package not in ("pyspark", "py4j")} == image


def test_spark_has_the_pandas_it_supports() -> None:
    assert pins("spark")["pyspark"].startswith("4.")
    assert pins("spark")["pandas"].startswith("2.")


def test_the_emulator_is_one_exact_version() -> None:
    assert "ministack==1.5.33" in (LOCKS / "ministack.in").read_text()
    assert pins("ministack")["ministack"] == "1.5.33"


@pytest.mark.parametrize("package", ["scikit-learn", "pandas", "scipy", "pyarrow", "boto3", "botocore", "cloudpickle"])
def test_a_lambda_never_installs_what_it_must_not_load(package: str) -> None:
    assert package not in pins("serve")


def test_what_logs_to_mlflow_is_of_the_server_s_release() -> None:
    assert pins("dev")["mlflow-skinny"] == pins("mlflow")["mlflow"]


def test_the_skinny_client_brings_no_data_frames_into_the_main_environment() -> None:
    assert {"pandas", "mlflow", "sqlalchemy"} & set(pins("dev")) == set()


def test_what_mwaa_installs_is_what_a_local_airflow_has() -> None:
    lines = (ROOT / "airflow/requirements.txt").read_text().lower().splitlines()
    wanted = {re.split(r"[\[>=<]", line)[0] for line in lines if line and not line.startswith("#")}
    assert wanted <= set(pins("airflow"))
    assert {"apache-airflow-providers-postgres", "apache-airflow-providers-common-messaging", "pyarrow"} <= wanted
