"""The registry under siege: 8 processes, every fault, kill -9 at any moment, and an endpoint with atomic conditions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from perennial.deploy.ministack import MiniStack
from tests.support.chaos.faulty import Fault
from tests.support.chaos.registry_plan import CALLS, MUTANTS, Siege
from tests.support.chaos.registry_siege import ENVIRONMENT, Outcome, besiege
from tests.support.chaos.registry_witness import WORK
from tests.support.chaos.scale import Scale
from tests.support.chaos.tally import Row, Tally

CHECK = "registry"
TRIED_SEEDS = 5


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with MiniStack(tmp_path_factory.mktemp("ministack")) as emulator:
        yield emulator.endpoint_url


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)


@pytest.mark.timeout(3600)
def test_no_operation_is_lost_or_doubled_whatever_happens(
    scale: Scale, tally: Tally, endpoint: str, tmp_path: Path
) -> None:
    outcomes: list[Outcome] = []
    for seed in scale.seeds(1, 20):
        outcomes.append(besiege(Siege(seed, scale.pick(6, CALLS)), endpoint, tmp_path))
        for finding in outcomes[-1].findings:
            print(f"seed {seed}: {finding.kind}: {finding.what}")
        if outcomes[-1].findings:
            print(f"to repeat: python -m tests.support.chaos.registry_siege {seed}")
    for row in rows(outcomes):
        tally.record(row)
    print(
        f"{sum(one.operations for one in outcomes):,} operations, {sum(one.kills for one in outcomes):,} kills, "
        f"{sum(one.unheard.total() for one in outcomes):,} writes with a lost answer, "
        f"{sum(one.unheard_commits for one in outcomes):,} of them commits"
    )
    if scale.full:
        assert sum(outcome.operations for outcome in outcomes) >= 1_000
        assert sum(outcome.kills for outcome in outcomes) >= 200
        assert sum(outcome.unheard.total() for outcome in outcomes) >= 300
        assert sum(outcome.unheard_commits for outcome in outcomes) >= 60


def rows(outcomes: list[Outcome]) -> Iterator[Row]:
    """A row per fault. All are at work at once, so what a siege found stands with each that it met."""
    yield _row("kill -9 at any moment", [(outcome, outcome.random_kills) for outcome in outcomes])
    yield _row("lost response after commit", [(outcome, outcome.unheard.total()) for outcome in outcomes])
    for fault in (fault for fault in Fault if fault is not Fault.LOST):
        yield _row(fault.value, [(outcome, outcome.injected[fault]) for outcome in outcomes])


def _row(fault: str, met: list[tuple[Outcome, int]]) -> Row:
    kinds = [finding.kind for outcome, times in met if times for finding in outcome.findings]
    injected = sum(times for _, times in met)
    return Row(CHECK, fault, injected, kinds.count("lost"), kinds.count("doubled"), kinds.count("wrong"))


@pytest.mark.parametrize("name", MUTANTS)
def test_a_registry_without_it_is_caught(scale: Scale, tally: Tally, endpoint: str, tmp_path: Path, name: str) -> None:
    """By a promise that it must break; and the same siege of the true registry finds nothing."""
    chance = scale.random(name)
    for _ in range(TRIED_SEEDS):
        siege = MUTANTS[name](chance.getrandbits(32))
        outcome = besiege(siege, endpoint, tmp_path)
        print(*outcome.findings, sep="\n")
        if outcome.broken(siege):
            break
    tally.mutant(CHECK, name, outcome.broken(siege))
    if scale.full or name == scale.random("control").choice(list(MUTANTS)):
        assert besiege(siege.control, endpoint, tmp_path).findings == []


def test_workers_that_only_die_catch_no_mutant(endpoint: str, tmp_path: Path) -> None:
    assert not any(WORK in siege(1).promises for siege in MUTANTS.values())
    siege = replace(MUTANTS["no condition"](1), mutant="there_is_no_such_mutant")
    outcome = besiege(siege, endpoint, tmp_path)
    assert {finding.promise for finding in outcome.findings} == {WORK}
    assert not outcome.broken(siege)
