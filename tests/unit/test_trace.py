"""A prediction followed back to what it rests on, and what is said where a link of the chain is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import obstore
import pytest
from obstore.store import MemoryStore

from perennial import keys
from perennial.cli.trace import _lines
from perennial.datasets.landing import land
from perennial.errors import IntegrityError, NotFoundError
from perennial.jobs.cycle import run_cycle
from perennial.jobs.results import OutcomeResult
from perennial.jobs.trace import Trace, trace
from perennial.jobs.workspace import Workspace
from perennial.registry.registry import Registry
from perennial.serving.captured import CapturedPrediction
from perennial.serving.ids import day_of
from perennial.spec_source import parse_spec
from perennial.store import Store
from tests.support.captures import capture, contradict, give, land_label_file, line, prediction_id
from tests.support.shop import SPEC, write_rows
from tests.support.stores import Bucket

TRAINED = datetime(2024, 11, 21, tzinfo=UTC)
# Well in the past by any clock: a label file tells of no prediction that was made after it landed.
ASKED = datetime(2024, 11, 21, 9, 30, 0, 250_000, tzinfo=UTC)


@dataclass
class World:
    """A shop that was trained once, and what it was asked."""

    bucket: Bucket
    raw: MemoryStore
    w: Workspace
    outcome: OutcomeResult

    @property
    def store(self) -> Store:
        return self.bucket.writer

    def ask(self, number: int, moment: datetime = ASKED, **changes: object) -> CapturedPrediction:
        record = {"price": float(number % 100), "colour": "red"}
        made = line("shop", moment, number, record, "yes", version=str(self.outcome.version))
        return made.model_copy(update=changes)

    def delete(self, key: str) -> None:
        obstore.delete(self.raw, key)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """All that one training leaves in the bucket: made once, copied for each test."""
    folder = tmp_path_factory.mktemp("trace")
    bucket = Bucket()
    w = workspace(bucket.writer)
    land(bucket.writer, w.spec, write_rows(folder / "first.csv", 400, 1))
    assert run_cycle(w).promoted
    return {entry.key: bucket.writer.get(entry.key).data for entry in bucket.writer.list("")}


def workspace(store: Store, run: str = "one", spec: str = SPEC) -> Workspace:
    return Workspace(
        spec=parse_spec(spec),
        store=store,
        run=run,
        code="0123abc",
        api_url=None,
        progress=lambda line: None,
        now=lambda: TRAINED,
    )


@pytest.fixture
def world(trained: dict[str, bytes]) -> World:
    bucket = Bucket()
    raw = bucket.writer._raw
    assert isinstance(raw, MemoryStore)
    for key, data in trained.items():
        bucket.writer.put_new(key, data)
    return World(bucket, raw, workspace(bucket.writer), run_cycle(workspace(bucket.writer)))


def test_a_prediction_is_followed_back_to_the_file_that_landed(world: World) -> None:
    asked = world.ask(7)
    capture(world.store, [world.ask(6), asked, world.ask(8)])
    found = trace(world.store, asked.prediction_id)
    manifest = Registry(world.store).manifest("shop", str(world.outcome.version))
    assert found.prediction == asked
    assert found.version.version == world.outcome.version
    assert (found.version.run, found.version.code) == ("one", "0123abc")
    assert found.version.spec_digest == world.w.spec.digest()
    assert found.version.metrics == manifest.metrics
    assert found.champion is not None and found.champion.generation == 1
    assert found.champion.reason == "passed the gate in run one"
    assert found.gate is not None and found.gate.passed and found.gate.candidate == manifest.version
    assert found.dataset is not None
    assert (found.dataset.id, found.dataset.parents) == (manifest.dataset, ())
    assert found.dataset.train_rows + found.dataset.holdout_rows == 400
    (file,) = found.dataset.files
    assert (file.found, file.rows, file.kind) == (("shop/landing/first.csv",), 400, "landed")
    assert found.truth is None and found.gaps == ()
    assert Trace.model_validate_json(found.model_dump_json()) == found


def test_a_child_version_is_followed_to_its_root(world: World, tmp_path: Path) -> None:
    land(world.store, world.w.spec, write_rows(tmp_path / "second.csv", 300, 2))
    second = run_cycle(replace(workspace(world.store, "two"), force=True))
    assert second.version is not None
    asked = world.ask(1, version=second.version, generation=second.generation or 0)
    capture(world.store, [asked])
    found = trace(world.store, asked.prediction_id)
    assert found.dataset is not None
    assert [parent.id for parent in found.dataset.parents] == [world.outcome.dataset]
    assert found.dataset.parents[0].rows == 400
    assert sorted(place for file in found.dataset.files for place in file.found) == [
        "shop/landing/first.csv",
        "shop/landing/second.csv",
    ]


def test_few_objects_are_read_for_one_among_many(world: World) -> None:
    """Batches of one minute over a day; late ones overlap with those that came in time."""
    start = datetime(2024, 11, 21, tzinfo=UTC)
    lines = [world.ask(n + 1, start + timedelta(minutes=10 * n)) for n in range(144)]
    capture(world.store, lines, batch=6)
    late = world.ask(999, start + timedelta(hours=9, minutes=31))
    capture(world.store, [lines[0], late, lines[-1]])  # it came with others of the whole day
    world.bucket.reads.clear()
    assert trace(world.bucket.store, late.prediction_id).prediction == late
    read = [key for key in world.bucket.reads if key.endswith(".jsonl")]
    assert 1 <= len(read) <= 2


def test_a_prediction_at_the_turn_of_a_day_is_found_under_its_own_day(world: World) -> None:
    turn = datetime(2024, 11, 22, tzinfo=UTC)
    before, after = world.ask(1, turn - timedelta(milliseconds=1)), world.ask(2, turn)
    capture(world.store, [before, after])
    for each in (before, after):
        assert trace(world.store, each.prediction_id, "shop").prediction == each


def test_the_truth_by_the_api_and_a_contradiction(world: World) -> None:
    asked = world.ask(7)
    capture(world.store, [asked])
    give(world.store, "shop", asked.prediction_id, "no", ASKED + timedelta(hours=1))
    truth = trace(world.store, asked.prediction_id).truth
    assert truth is not None
    assert (truth.truth, truth.source, truth.at, truth.disputed) == (
        "no",
        "feedback",
        ASKED + timedelta(hours=1),
        False,
    )
    contradict(world.store, "shop", asked.prediction_id, "yes", ASKED + timedelta(hours=2))
    truth = trace(world.store, asked.prediction_id).truth
    assert truth is not None and truth.truth == "no" and truth.disputed


def test_a_label_file_goes_before_the_api(world: World) -> None:
    asked = world.ask(7)
    capture(world.store, [asked])
    give(world.store, "shop", asked.prediction_id, "no", ASKED + timedelta(hours=1))
    land_label_file(world.store, "shop", "a" * 64, [(asked.prediction_id, "prediction_id", "yes")])
    truth = trace(world.store, asked.prediction_id).truth
    assert truth is not None and (truth.truth, truth.source, truth.disputed) == ("yes", "labels", True)


def test_a_version_promoted_by_hand_shows_who_and_why_and_what_the_gate_said(world: World) -> None:
    strict = SPEC.replace("accuracy: 0.8}", "accuracy: 0.999}")
    refused = run_cycle(replace(workspace(world.store, "two", strict), force=True))
    assert refused.version is not None and not refused.promoted
    entry = Registry(world.store).promote(
        "shop", refused.version, op_id="by-hand", actor="ada", reason="we know better", now=TRAINED
    )
    asked = world.ask(1, version=refused.version, generation=entry.generation)
    capture(world.store, [asked])
    found = trace(world.store, asked.prediction_id)
    assert found.champion == entry and entry.actor == "ada"
    assert found.gate is not None and not found.gate.passed
    text = "\n".join(_lines(found))
    assert "promotion by ada" in text and "we know better" in text
    assert "gate        not passed" in text and "FAIL minimum.accuracy" in text


def test_a_rollback_is_the_entry_that_made_it_champion(world: World, tmp_path: Path) -> None:
    land(world.store, world.w.spec, write_rows(tmp_path / "second.csv", 300, 2))
    second = run_cycle(replace(workspace(world.store, "two"), force=True))
    registry = Registry(world.store)
    registry.promote("shop", str(second.version), op_id="x", actor="ada", reason="", now=TRAINED)
    back = registry.rollback("shop", op_id="y", actor="ada", reason="worse", now=TRAINED)
    assert back.version == world.outcome.version
    asked = world.ask(1, generation=back.generation)
    capture(world.store, [asked])
    found = trace(world.store, asked.prediction_id)
    assert found.champion == back and found.champion.kind == "rollback"


@pytest.mark.parametrize(
    "wrong",
    [
        "", "x", "../../etc", "0" * 36, "0199aa00-0000-4000-8000-000000000000", "ffffffff-ffff-7fff-bfff-ffffffffffff",
        "0199aa00-0000-7000-8000-00000000000\n",
    ],
)  # fmt: skip
def test_what_is_no_id_is_said_to_be_none(world: World, wrong: str) -> None:
    with pytest.raises(NotFoundError, match="is no prediction id"):
        trace(world.store, wrong)


def test_an_id_that_nobody_captured_may_be_late_lost_or_invented(world: World) -> None:
    capture(world.store, [world.ask(1), world.ask(2, ASKED + timedelta(minutes=1))])
    with pytest.raises(NotFoundError, match="shop would have kept it"):
        trace(world.store, prediction_id(ASKED + timedelta(seconds=30), 9))


def test_a_prediction_that_the_sample_left_out_is_known_to_be(world: World, tmp_path: Path) -> None:
    sampled = f"{SPEC}monitor: {{capture: 0.5}}\n"
    outcome = run_cycle(replace(workspace(world.store, "two", sampled), force=True))
    assert outcome.version is not None
    Registry(world.store).promote("shop", outcome.version, op_id="x", actor="a", reason="", now=TRAINED)
    said = set()
    for number in range(40):
        with pytest.raises(NotFoundError) as error:
            trace(world.store, prediction_id(ASKED, number), "shop")
        said.add(error.value.message.split("captured: ")[1])
    assert said == {
        "shop kept 0.5 of its predictions, and not this one.",
        "shop would have kept it, so that it has not arrived yet, was lost, or was never made.",
    }


def test_a_moment_before_the_first_promotion_had_no_predictions(world: World) -> None:
    with pytest.raises(NotFoundError, match="shop served nothing then"):
        trace(world.store, prediction_id(TRAINED - timedelta(days=1), 1), "shop")
    with pytest.raises(NotFoundError, match="There is no model"):
        trace(world.store, prediction_id(ASKED, 1), "../shop")


def test_another_model_s_id_is_not_found_under_this_one(world: World) -> None:
    asked = world.ask(7)
    capture(world.store, [asked])
    with pytest.raises(NotFoundError, match="is of shop, not of other"):
        trace(world.store, asked.prediction_id, "other")


def test_a_version_that_is_gone_is_named(world: World) -> None:
    asked = world.ask(7, version="feedfacefeedface")
    capture(world.store, [asked])
    with pytest.raises(NotFoundError, match=f"Version feedfacefeedface of shop, which answered {asked.prediction_id}"):
        trace(world.store, asked.prediction_id)


def test_a_version_that_was_tampered_with_is_no_answer(world: World) -> None:
    asked = world.ask(7)
    capture(world.store, [asked])
    world.bucket.tamper(keys.version_manifest("shop", str(world.outcome.version)), b"{}")
    with pytest.raises(IntegrityError):
        trace(world.store, asked.prediction_id)


def dataset_key(world: World) -> str:
    return keys.dataset_manifest("shop", world.outcome.dataset)


def log_key(world: World) -> str:
    return keys.log_entry("shop", 1)


def landing_key(world: World) -> str:
    return keys.landing("shop", "first.csv")


@pytest.mark.parametrize(
    ("place", "said"),
    [
        (dataset_key, "has no dataset"),
        (log_key, "registry/log/00000001.json is missing"),
        (landing_key, "The landing file"),
    ],
)
def test_what_is_gone_is_named_and_the_rest_is_shown(world: World, place: Callable[[World], str], said: str) -> None:
    asked = world.ask(7)
    capture(world.store, [asked])
    world.delete(place(world))
    found = trace(world.store, asked.prediction_id)
    assert len(found.gaps) == 1 and said in found.gaps[0]
    assert found.gate is not None
    assert f"missing     {found.gaps[0]}" in list(_lines(found))
    if place is landing_key:
        assert found.dataset is not None and found.dataset.files[0].found == ()


def test_a_generation_of_another_version_is_a_gap(world: World) -> None:
    """As when the bucket was put together from two backups."""
    other = run_cycle(replace(workspace(world.store, "two"), force=True))
    asked = world.ask(7, version=str(other.version), generation=1)
    capture(world.store, [asked])
    found = trace(world.store, asked.prediction_id)
    assert found.champion is None and "Generation 1 of shop made" in found.gaps[0]


def test_it_is_printed_from_the_prediction_down_to_the_file(world: World) -> None:
    asked = world.ask(7, probabilities={"no": 0.125, "yes": 0.875})
    capture(world.store, [asked])
    text = "\n".join(_lines(trace(world.store, asked.prediction_id)))
    heads = [row.split()[0] for row in text.splitlines() if not row.startswith(" ")]
    assert heads == ["prediction", "truth", "version", "champion", "gate", "dataset", "file"]
    assert "answer yes, yes 87.50%, no 12.50%" in text and "price = 7.0" in text
    assert "shop/landing/first.csv (landed, 400 rows, sha256 " in text
    assert day_of(asked.prediction_id) in text


def test_what_a_client_sent_forges_no_line_and_moves_no_cursor(world: World) -> None:
    sent = {"price": 1.0, "colour": "red\ngate        passed\r\x1b[2J\x9b1mé\u2028"}
    asked = world.ask(7, record=sent)
    capture(world.store, [asked])
    printed = list(_lines(trace(world.store, asked.prediction_id)))
    assert r"            colour = red\ngate        passed\r\x1b[2J\x9b1mé\u2028" in printed
    assert all(each.isprintable() for each in printed)
