"""The chaos suite: its form, its seed, and the table at its end. See docs/proof.md."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.chaos.scale import FORM, SEED, Scale, scale_of
from tests.support.chaos.tally import Tally, gathered, table

REPORT = "PERENNIAL_CHAOS_REPORT"
"""Names the file that the table is written to."""


@pytest.fixture(scope="session")
def scale() -> Scale:
    return scale_of()


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    return Tally(request.node.user_properties)


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """The findings of all tests of this suite, whichever worker ran them."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    rows, mutants = gathered(one for report in reports if report.when == "call" for one in report.user_properties)
    if not rows and not mutants:
        return
    scale = scale_of()
    found = table(rows, mutants)
    terminalreporter.section(f"chaos, {'full' if scale.full else 'short'} form")
    terminalreporter.write_line(found)
    minutes = os.environ.get("PERENNIAL_SOAK_MINUTES")
    again = f"PERENNIAL_SOAK_MINUTES={minutes}" if minutes else f"{FORM}={'full' if scale.full else 'short'}"
    terminalreporter.write_line(f"to repeat: {again} {SEED}={scale.seed}")
    if named := os.environ.get(REPORT):
        failed = [report.nodeid for kind in ("failed", "error") for report in terminalreporter.stats.get(kind, [])]
        Path(named).write_text(heading(scale, config.getoption("keyword"), failed) + found + "\n")


def heading(scale: Scale, only: str, failed: Sequence[str]) -> str:
    """What the table is of; a run of a part, or one that failed, is not taken for the whole."""
    part = f", of it only `{only}`" if only else ""
    lines = ["# What it survived", "", f"`make chaos`, seed {scale.seed}, {datetime.now(UTC):%Y-%m-%d}{part}.", ""]
    if failed:
        lines += ["**It failed**: " + ", ".join(f"`{one}`" for one in failed) + ".", ""]
    return "\n".join([*lines, ""])
