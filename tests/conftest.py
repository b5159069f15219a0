"""Settings of every test run, and what tests of several folders share."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from perennial.deploy.up import names_a_stack
from tests.support.endpoint import lacking
from tests.support.turns import Turns

# Read when numpy is first imported, which is later than this: threads that outnumber the cores only cost.
for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "1")

# What a shell still holds of some stack, by `perennial env`, is not for tests: each names its own.
for name in [name for name in os.environ if names_a_stack(name) or name == "LOCALSTACK_HOST"]:
    del os.environ[name]

settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("ci")


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers", "needs(feature): runs only on an endpoint that has it; see tests.support.endpoint"
    )
    config.addinivalue_line("markers", "stack: uses the deployed stack, whichever endpoint it runs on")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """``-m stack`` selects all that runs on whichever endpoint is chosen."""
    for item in items:
        info = getattr(item, "_fixtureinfo", None)
        found = info.name2fixturedefs.get("stack", ()) if info else ()
        if any(one.func.__module__ == "tests.support.stack" for one in found):  # others name stacks of their own so
            item.add_marker("stack")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Before any fixture is made."""
    for mark in item.iter_markers("needs"):
        if reason := lacking(str(mark.args[0])):
            pytest.skip(reason)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Turns | None:
    """Of what runs by ``--dist loadfile``, as ``make test`` does."""
    return Turns(config, log) if config.getoption("dist") == "loadfile" else None


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:
    """Bytes are not their own name: workers that pack them a second apart would not collect the same tests."""
    return argname if isinstance(val, bytes) else None


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data sets: ``PERENNIAL_DATA``, or ``shared/data`` beside the repository."""
    named = os.environ.get("PERENNIAL_DATA")
    folder = Path(named) if named else Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; name its folder in PERENNIAL_DATA")
    return folder
