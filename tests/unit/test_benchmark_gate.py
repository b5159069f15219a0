"""The regression gate and the table of results: what fell back, what missed its bound, what was not measured."""

from pathlib import Path

import pytest

from benchmarks.figures import BOUNDS, Beside, Figure, Key, read, write
from benchmarks.gate import missing, regressions
from benchmarks.results import Results, Run, load, publish, told


def figure(key: Key, value: float) -> Figure:
    return Figure(key, value, "ours 2 ms, theirs 1 ms", "imports", "python -m benchmarks.serving")


@pytest.mark.parametrize("key", list(Key))
def test_every_ratio_has_a_bound_and_falls_back_on_one_side_only(key: Key) -> None:
    bound = BOUNDS[key]
    factor = max(bound.tolerance, 1) * 1.01
    worse = bound.must / factor if bound.more_is_better else bound.must * factor
    better = bound.must * factor if bound.more_is_better else bound.must / factor
    assert set(regressions([figure(key, worse)], {key: bound.must})) == {key}
    assert not regressions([figure(key, better)], {key: bound.must})
    assert not regressions([figure(key, bound.must)], {key: bound.must})
    assert bound.kept(better)
    assert not bound.kept(worse)


def test_a_regression_is_told_with_its_tolerance_and_the_command() -> None:
    (text,) = regressions([figure(Key.COLD_BARE, 30)], {Key.COLD_BARE: 12}).values()
    assert "30, recorded 12, tolerance a factor of 1.3; `python -m benchmarks.serving`" in text


def test_a_missed_bound_and_a_ratio_that_was_not_measured_are_said_on_the_page() -> None:
    text = told(Results([figure(Key.COLD_BARE, 30), figure(Key.MEMORY, 0.3)]))
    assert "| cold start ÷ bare handler | 30 | ≤ 16 | ≤ 8 | **missed** |" in text
    assert "| peak memory ÷ hand-written | 0.3 | ≤ 0.45 | ≤ 0.35 | moonshot |" in text
    assert "| warm p99 ÷ p50 | not measured | | | |" in text


def test_figures_survive_their_file(tmp_path: Path) -> None:
    figures, beside = [figure(Key.MEMORY, 0.3)], [Beside("LitServe", "1,000 requests/s", "python -m benchmarks.http")]
    write(tmp_path / "figures.json", figures, beside)
    assert read(tmp_path / "figures.json") == (figures, beside)


def test_one_part_measured_anew_takes_the_place_of_what_it_found_before(tmp_path: Path) -> None:
    record, page = tmp_path / "RESULTS.json", tmp_path / "RESULTS.md"
    reads = Figure(Key.REGISTRY_READS, 1, "2, 2", "all", "python -m benchmarks.registry_reads")
    bare = Beside("a bare handler", "12 MB", "python -m benchmarks.serving")
    first, second = Run("2026-11-21", "a server", ("numpy 1",)), Run("2026-11-22", "a laptop", ("numpy 2",))
    publish(([reads, figure(Key.COLD_BARE, 30), figure(Key.MEMORY, 0.3)], [bare]), first, record=record, page=page)
    publish(([figure(Key.COLD_BARE, 12)], []), second, record=record, page=page)
    found = load(record)
    assert [(one.key, one.value) for one in found.figures] == [(Key.COLD_BARE, 12), (Key.REGISTRY_READS, 1)]
    assert found.runs == {"python -m benchmarks.serving": second, "python -m benchmarks.registry_reads": first}
    assert not found.beside
    text = page.read_text()
    assert "| cold start ÷ bare handler | 12 |" in text
    assert "- 2026-11-21, on a server: `python -m benchmarks.registry_reads`. numpy 1." in text
    assert "- 2026-11-22, on a laptop: `python -m benchmarks.serving`. numpy 2." in text


def test_what_could_not_be_compared_fails_the_gate() -> None:
    every = {key for key, bound in BOUNDS.items() if bound.gated}
    assert not missing(every, every)
    assert missing(every - {Key.CYCLE}, every) == [f"{Key.CYCLE}: nothing is recorded; `make bench` does it"]
    assert missing(every, every - {Key.CYCLE}) == [f"{Key.CYCLE}: was not measured"]


def test_what_is_exact_is_held_to_its_bound_and_may_come_near_it() -> None:
    assert not regressions([figure(Key.PROMOTION, 1)], {Key.PROMOTION: 0})
    assert set(regressions([figure(Key.PROMOTION, 2)], {Key.PROMOTION: 0})) == {Key.PROMOTION}


def test_all_that_is_gated_is_recorded() -> None:
    assert not missing({one.key for one in load().figures}, set(BOUNDS))
