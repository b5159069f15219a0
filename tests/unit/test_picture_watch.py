"""Pictures that were asked about are watched, traced and shown as rows of a table are, and not shown to everyone."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from obstore.store import MemoryStore

from perennial import keys
from perennial.cli.trace import _lines
from perennial.errors import SpecError
from perennial.jobs.collect import collect
from perennial.jobs.page import build_page
from perennial.jobs.replay.file import read_timeline
from perennial.jobs.trace import trace
from perennial.jobs.watch import run_pass
from perennial.monitoring.columns import record_schema
from perennial.monitoring.observed import labelled, observe
from perennial.registry.registry import Registry
from perennial.spec_images import DESCRIPTORS
from perennial.store import Store
from tests.support.pictures import image_spec
from tests.support.watched import stored
from tests.support.watched_pictures import NOW, TRAINED, Pets, dark, open_pets, pets_spec


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """All objects of a bucket with a champion: training is done once."""
    store = Store(MemoryStore())
    open_pets(store, tmp_path_factory.mktemp("pets"))
    return stored(store, "")


@pytest.fixture
def pets(trained: dict[str, bytes]) -> Pets:
    store = Store(MemoryStore())
    for key, data in trained.items():
        store.put_new(key, data)
    return Pets(pets_spec(), store, [])


def test_a_quiet_world_is_called_quiet(pets: Pets) -> None:
    pets.tell(pets.serve(120))
    found = run_pass(pets.workspace(), html=False)
    assert (found.quality.status, found.drift.status, found.performance.status) == ("ok", "ok", "ok")
    assert [one.feature for one in found.drift.features] == list(DESCRIPTORS)
    assert (found.rows, found.performance.labels, found.retrain) == (120, 120, False)


def test_pictures_that_became_dark_have_drifted(pets: Pets) -> None:
    pets.serve(120, changed=dark)
    found = run_pass(pets.workspace(), html=False)
    moved = {one.feature for one in found.drift.features if one.moved}
    assert found.drift.status == "drift" and {"brightness", "contrast", "sharpness"} <= moved
    assert not {"width", "height"} & moved
    (reason,) = found.reasons
    assert "drift" in reason and "brightness, contrast, sharpness" in reason
    assert not found.retrain and "trained on with this spec before" in str(found.blocked)  # nothing new to learn from


def test_answers_that_turn_out_wrong_are_decay(pets: Pets) -> None:
    pets.tell(pets.serve(120), truth="dog")
    found = run_pass(pets.workspace(), html=False)
    assert found.performance.status == "decay" and found.retrain
    accuracy = next(one for one in found.performance.metrics if one.metric == "accuracy")
    assert accuracy.value is not None and 0.4 < accuracy.value < 0.6


def test_a_captured_picture_is_a_row_by_its_digest(pets: Pets) -> None:
    asked = pets.serve(4)
    pets.tell(asked)
    seen = observe(pets.store, pets.spec, TRAINED, NOW)
    assert seen.rows.schema == record_schema(pets.spec)
    assert seen.rows.column("image").to_pylist() == [made.record["image"] for made, _ in asked]
    assert seen.rows.column("fingerprint").null_count == 4
    known = labelled(pets.store, pets.spec, since=TRAINED, until=NOW)
    assert known.rows.column("label").to_pylist() == [kind for _, kind in asked]


def test_labelled_pictures_are_collected_by_their_digests(pets: Pets) -> None:
    asked = pets.serve(60)
    pets.tell(asked)
    found = collect(pets.workspace())
    assert found.rows_feedback == 60
    (key,) = found.files
    table = pq.read_table(io.BytesIO(pets.store.get(key).data))
    assert table.column("image").to_pylist() == [made.record["image"] for made, _ in asked]
    assert table.column("label").to_pylist() == [kind for _, kind in asked]


def test_a_prediction_leads_back_to_its_picture_and_the_listing_it_learnt_from(pets: Pets) -> None:
    ((made, kind),) = asked = pets.serve(1)
    pets.tell(asked)
    found = trace(pets.store, made.prediction_id)
    assert found.picture == keys.image(pets.spec.name, str(made.record["image"]))
    assert found.truth is not None and found.truth.truth == kind
    assert found.dataset is not None and all(file.found for file in found.dataset.files)
    assert not found.gaps
    assert any(text.split() == ["picture", found.picture] for text in _lines(found))


def test_a_picture_that_is_gone_is_told(pets: Pets) -> None:
    ((made, _),) = pets.serve(1)
    pets.store.remove(key := keys.image(pets.spec.name, str(made.record["image"])))
    found = trace(pets.store, made.prediction_id)
    assert found.picture is None and any(key in gap for gap in found.gaps)


def test_the_page_that_anyone_can_open_shows_no_picture_that_was_landed(pets: Pets) -> None:
    head = Registry(pets.store).head(pets.spec.name)
    assert head is not None
    assert "card.html" in Registry(pets.store).manifest(pets.spec.name, head.version).files
    (view,) = build_page(pets.store, pets.spec.name, NOW).versions
    assert {"roc.svg", "confusion.svg", "evaluation.json"} <= set(view.files)
    assert not {"card.html", "mistakes.jpg"} & set(view.files)


def test_pictures_cannot_be_replayed(tmp_path: Path) -> None:
    path = tmp_path / "listing.parquet"
    pq.write_table(pa.table({"image": ["a.png"], "label": ["cat"]}), path)
    with pytest.raises(SpecError, match="pictures have no column of time") as refusal:
        read_timeline(path, image_spec(), None)
    assert refusal.value.exit_code == 3
