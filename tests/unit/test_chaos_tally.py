"""The chaos suite's own bookkeeping: a broken promise or a mutant that slips through must fail."""

import pytest

from tests.support.chaos.scale import Scale, scale_of
from tests.support.chaos.tally import Mutant, Row, Tally, gathered, table


@pytest.mark.parametrize("broken", ["lost", "doubled", "wrong"])
def test_a_broken_promise_fails_and_is_still_taken_down(broken: str) -> None:
    properties: list[tuple[str, object]] = []
    with pytest.raises(AssertionError, match=f"1 {broken}"):
        Tally(properties).record(Row("registry", "kill", 5, **{broken: 1}))
    assert len(gathered(properties)[0]) == 1


def test_a_fault_that_was_never_injected_fails() -> None:
    with pytest.raises(AssertionError, match="never injected"):
        Tally([]).record(Row("registry", "kill", 0))


def test_a_mutant_that_slips_through_fails() -> None:
    with pytest.raises(AssertionError, match="blind alias"):
        Tally([]).mutant("registry", "blind alias", caught=False)


def test_rows_of_one_fault_are_added_up() -> None:
    properties: list[tuple[str, object]] = []
    tally = Tally(properties)
    tally.record(Row("registry", "kill", 5))
    tally.record(Row("registry", "kill", 1_200))
    tally.mutant("registry", "blind alias", caught=True)
    rows, mutants = gathered(properties)
    assert rows == [Row("registry", "kill", 1_205)]
    assert mutants == [Mutant("registry", "blind alias", True)]
    assert "| registry | kill | 1,205 | 0 | 0 | 0 |" in table(rows, mutants)


def test_the_form_and_the_seed_come_of_the_environment() -> None:
    assert scale_of({}) == scale_of({"PERENNIAL_CHAOS": "short"})
    full = scale_of({"PERENNIAL_CHAOS": "full", "PERENNIAL_CHAOS_SEED": "7"})
    assert full == Scale(True, 7)
    assert full.pick(1, 20) == 20
    assert list(full.seeds(1, 3)) == list(Scale(True, 7).seeds(1, 3))
    assert full.random("a").random() == Scale(False, 7).random("a").random() != full.random("b").random()


@pytest.mark.parametrize("environment", [{"PERENNIAL_CHAOS": "long"}, {"PERENNIAL_CHAOS_SEED": "x"}])
def test_what_is_no_form_or_seed_is_refused(environment: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="PERENNIAL_CHAOS"):
        scale_of(environment)
