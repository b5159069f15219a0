"""The steps of a run against the in-process store: repeated, cut off and resumed, refused, and found unneeded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from perennial import keys
from perennial.datasets.landing import land
from perennial.errors import NotFoundError, PromotionRefused, SettingsError, TrainingError
from perennial.jobs import steps
from perennial.jobs.cycle import run_cycle
from perennial.jobs.results import OutcomeResult
from perennial.jobs.signers import new_key_file
from perennial.jobs.workspace import Workspace, run_name
from perennial.registry.check import check
from perennial.registry.registry import Registry
from perennial.registry.verify import read_manifest
from perennial.settings import Settings
from perennial.spec import ModelSpec
from perennial.spec_source import parse_spec
from perennial.store import Store, memory_store
from perennial.store_objects import Served
from perennial.trust import TrustedKeys
from tests.support.shop import SPEC, write_rows
from tests.support.signing import signer


@pytest.fixture
def spec() -> ModelSpec:
    return parse_spec(SPEC)


@pytest.fixture
def landed(spec: ModelSpec, tmp_path: Path) -> Store:
    store = memory_store()
    land(store, spec, write_rows(tmp_path / "first.csv", 400, 1))
    return store


@pytest.fixture
def open_run(spec: ModelSpec, landed: Store) -> Callable[..., Workspace]:
    def make(run: str = "one", *, spec: ModelSpec = spec, store: Store = landed, force: bool = False) -> Workspace:
        return Workspace(
            spec=spec,
            store=store,
            run=run,
            code="0123abc",
            api_url=None,
            progress=lambda line: None,
            now=lambda: datetime(2026, 11, 21, tzinfo=UTC),
            force=force,
        )

    return make


class Killed(BaseException):
    """Stands for a process that ends between two lines."""


class DyingStore(Store):
    """Dies at its second new object: before it is written, or right after."""

    def __init__(self, store: Store, *, after: bool) -> None:
        super().__init__(store._raw)
        self.made, self.after = 0, after

    def put_new(self, key: str, data: bytes, *, served: Served | None = None) -> str:
        self.made += not self.exists(key)
        if self.made == 2 and not self.after:
            raise Killed
        etag = super().put_new(key, data, served=served)
        if self.made == 2:
            raise Killed
        return etag


def objects(store: Store) -> dict[str, bytes]:
    """All but the lease, which every run takes and gives back."""
    found = {entry.key: store.get(entry.key).data for entry in store.list("shop")}
    del found[keys.training_lock("shop")]
    return found


def test_a_cycle_trains_gates_promotes_and_leaves_every_invariant_true(
    open_run: Callable[..., Workspace], landed: Store
) -> None:
    outcome = run_cycle(open_run())
    assert outcome.promoted and outcome.generation == 1
    assert outcome.metrics["accuracy"] > 0.9
    head = Registry(landed).head("shop")
    assert head is not None and head.version == outcome.version
    assert check(landed, "shop") == ()


def test_the_lineage_of_a_version_names_run_dataset_code_and_seed(
    open_run: Callable[..., Workspace], landed: Store
) -> None:
    outcome = run_cycle(open_run())
    manifest = Registry(landed).manifest("shop", str(outcome.version))
    assert (manifest.run, manifest.dataset, manifest.code, manifest.seed) == ("one", outcome.dataset, "0123abc", 42)


def test_repeating_a_run_changes_no_object_and_gives_the_same_outcome(
    open_run: Callable[..., Workspace], landed: Store
) -> None:
    first = run_cycle(open_run())
    before = objects(landed)
    assert run_cycle(open_run()) == first
    assert objects(landed) == before


def test_two_runs_on_the_same_input_give_the_same_metrics_to_the_last_digit(
    open_run: Callable[..., Workspace], spec: ModelSpec, tmp_path: Path
) -> None:
    first = run_cycle(open_run())
    elsewhere = memory_store()
    land(elsewhere, spec, tmp_path / "first.csv")
    second = run_cycle(open_run("two", store=elsewhere))
    assert second.metrics == first.metrics
    assert second.dataset == first.dataset


@pytest.mark.parametrize("after", [False, True])
def test_a_run_killed_again_and_again_is_finished_by_its_retries(
    open_run: Callable[..., Workspace], spec: ModelSpec, landed: Store, tmp_path: Path, after: bool
) -> None:
    whole = run_cycle(open_run())
    store, deaths = memory_store(), 0
    land(store, spec, tmp_path / "first.csv")
    while True:
        try:
            outcome = run_cycle(open_run(store=DyingStore(store, after=after)))
            break
        except Killed:
            deaths += 1
    assert deaths > 8
    assert outcome == whole
    assert objects(store) == objects(landed)
    assert check(store, "shop") == ()
    assert len(Registry(store).log("shop")) == 1


def test_nothing_to_do_where_dataset_and_spec_were_trained_before(open_run: Callable[..., Workspace]) -> None:
    first = run_cycle(open_run())
    again = run_cycle(open_run("two"))
    why = "this dataset has been trained on with this spec before"
    assert again == OutcomeResult(model="shop", run="two", dataset=first.dataset, trained=False, because=why)


def test_force_trains_all_the_same(open_run: Callable[..., Workspace]) -> None:
    run_cycle(open_run())
    again = run_cycle(open_run("two", force=True))
    assert again.trained and again.generation == 2


def test_another_spec_is_something_to_do(open_run: Callable[..., Workspace]) -> None:
    run_cycle(open_run())
    other = parse_spec(SPEC.replace("max_depth: 3", "max_depth: 4"))
    assert run_cycle(open_run("two", spec=other)).trained


def test_new_data_makes_a_child_version_with_the_same_holdout(
    open_run: Callable[..., Workspace], spec: ModelSpec, landed: Store, tmp_path: Path
) -> None:
    first = steps.snapshot(open_run())
    land(landed, spec, write_rows(tmp_path / "second.csv", 200, 2))
    second = steps.snapshot(open_run("two"))
    assert second.dataset != first.dataset
    assert second.holdout_rows == first.holdout_rows
    assert second.train_rows > first.train_rows


def test_a_version_the_gate_refuses_is_kept_with_its_reasons_and_serves_nobody(
    open_run: Callable[..., Workspace], landed: Store
) -> None:
    strict = parse_spec(SPEC.replace("accuracy: 0.8", "accuracy: 0.9999"))
    outcome = run_cycle(open_run(spec=strict))
    assert not outcome.promoted and outcome.version
    assert any("FAIL minimum.accuracy" in reason for reason in outcome.reasons)
    assert Registry(landed).head("shop") is None
    assert Registry(landed).versions("shop") == [outcome.version]
    assert landed.exists(keys.gate_decision("shop", open_run(spec=strict).operation("gate")))
    with pytest.raises(PromotionRefused):
        steps.promote(open_run(spec=strict))


def test_a_challenger_is_compared_with_the_champion_on_the_same_rows(
    open_run: Callable[..., Workspace], spec: ModelSpec, landed: Store, tmp_path: Path
) -> None:
    champion = run_cycle(open_run())
    land(landed, spec, write_rows(tmp_path / "noise.csv", 900, 3, noise=0.98))  # turned upside down
    outcome = run_cycle(open_run("two"))
    assert not outcome.promoted
    assert any("FAIL gain.accuracy" in reason and str(champion.version) in reason for reason in outcome.reasons)
    head = Registry(landed).head("shop")
    assert head is not None and head.version == champion.version


def test_a_version_that_needs_a_person_passes_the_gate_and_waits(
    open_run: Callable[..., Workspace], landed: Store
) -> None:
    asked = parse_spec(SPEC.replace("gate: {minimum", "gate: {approval: human, minimum"))
    outcome = run_cycle(open_run(spec=asked))
    assert outcome.passed and not outcome.promoted
    assert Registry(landed).head("shop") is None
    with pytest.raises(PromotionRefused, match="waits for a person"):
        steps.promote(open_run(spec=asked))


def test_a_mended_spec_begins_the_same_run_anew(open_run: Callable[..., Workspace], landed: Store) -> None:
    broken = parse_spec(SPEC.replace("max_depth: 3", "max_deep: 3"))
    steps.snapshot(open_run(spec=broken))
    assert steps.train(open_run(spec=broken), "tree").refused
    outcome = run_cycle(open_run())
    assert steps.train(open_run(), "tree").score
    manifest = Registry(landed).manifest("shop", str(outcome.version))
    assert manifest.spec == open_run().spec
    assert manifest.params == manifest.spec.candidates[manifest.candidate].params


def test_a_candidate_that_cannot_be_trained_is_refused_and_the_others_go_on(
    open_run: Callable[..., Workspace],
) -> None:
    odd = parse_spec(SPEC.replace("max_depth: 3", "max_deep: 3"))
    outcome = run_cycle(open_run(spec=odd))
    assert outcome.candidate == "logistic"
    refused = steps.train(open_run(spec=odd), "tree")
    assert refused.score is None and "max_depth" in str(refused.refused)


def test_all_candidates_refused_is_an_error_that_lists_each(open_run: Callable[..., Workspace]) -> None:
    odd = parse_spec(SPEC.replace("LogisticRegression", "Nothing").replace("max_depth", "max_deep"))
    with pytest.raises(TrainingError, match=r"logistic: .*Nothing.*tree: "):
        run_cycle(open_run(spec=odd))


def test_a_step_out_of_order_says_what_is_missing(open_run: Callable[..., Workspace]) -> None:
    with pytest.raises(NotFoundError, match="no result of the step select"):
        steps.register(open_run())


def test_an_unknown_candidate_is_named(open_run: Callable[..., Workspace]) -> None:
    with pytest.raises(NotFoundError, match="no candidate other"):
        steps.train(open_run(), "other")


def test_train_without_a_candidate_is_a_usage_error(open_run: Callable[..., Workspace]) -> None:
    with pytest.raises(SettingsError, match="candidate"):
        steps.perform("train", open_run())


@pytest.mark.parametrize("name", ["", " ", ".", ".."])
def test_a_run_needs_a_name(name: str) -> None:
    with pytest.raises(SettingsError, match="names no run"):
        run_name(name)


def test_run_names_fit_a_key_and_stay_apart() -> None:
    assert run_name("cycle-1") == "cycle-1"
    odd, other = run_name("manual__2026-11-21T03:00:00+00:00"), run_name("manual__2026-11-21T03:00:00-00:00")
    assert odd != other
    assert "/" not in run_name("a/../b") and ":" not in odd


def test_a_version_is_signed_when_it_is_registered_whatever_dies_between(
    open_run: Callable[..., Workspace], landed: Store, tmp_path: Path
) -> None:
    signer = new_key_file(tmp_path / "key.pem")
    trusting = Store(landed._raw, trust=TrustedKeys((signer.public_key(),)))
    settings = Settings(bucket="memory", signing_key=str(tmp_path / "key.pem"))
    w = replace(open_run(store=trusting), settings=settings)
    for step in (steps.acquire, steps.snapshot, lambda w: steps.train(w, "tree"), steps.select):
        step(w)

    class DyingBeforeItSigns(Store):
        def put_new(self, key: str, data: bytes, *, served: Served | None = None) -> str:
            if "/signatures/" in key:
                raise Killed
            return super().put_new(key, data, served=served)

    with pytest.raises(Killed):
        steps.register(replace(w, store=DyingBeforeItSigns(landed._raw, trust=trusting.trust)))
    version = steps.register(w).version
    assert read_manifest(trusting, "shop", version).version == version


def test_a_key_that_is_not_trusted_here_signs_and_says_that_it_is_for_nothing(
    open_run: Callable[..., Workspace], landed: Store, tmp_path: Path
) -> None:
    """As where the key file was made anew while a stack ran that trusts the one before."""
    other = new_key_file(tmp_path / "key.pem").public_key().id
    trusting = Store(landed._raw, trust=TrustedKeys((signer().public_key(),)))
    said: list[str] = []
    settings = Settings(bucket="memory", signing_key=str(tmp_path / "key.pem"))
    w = replace(open_run(store=trusting), progress=said.append, settings=settings)
    with pytest.raises(PromotionRefused, match="bears no signature by a key that is trusted"):
        run_cycle(w)
    assert any(f"with the key {other}, which PERENNIAL_TRUSTED_KEYS does not name" in line for line in said)


def test_a_version_that_nobody_signed_passes_the_gate_and_is_not_promoted(
    open_run: Callable[..., Workspace], landed: Store
) -> None:
    trusting = Store(landed._raw, trust=TrustedKeys((signer().public_key(),)))
    said: list[str] = []
    w = replace(open_run(store=trusting), progress=said.append)
    with pytest.raises(PromotionRefused, match="`perennial keys sign shop"):
        run_cycle(w)
    assert any("PERENNIAL_SIGNING_KEY names no key" in line for line in said)
    assert Registry(trusting).head("shop") is None
