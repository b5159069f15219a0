"""The card of a model of pictures: its sheet of mistakes shows the right pictures, and says so where there are none."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from perennial.datasets.arrow import arrow_schema
from perennial.datasets.load import Rows
from perennial.datasets.pictures import put_picture
from perennial.images.decode import decode
from perennial.images.fingerprint import fingerprint
from perennial.images.pixels import framed
from perennial.images.record import read_record
from perennial.registry.manifest import FileRef, Metric, Parity
from perennial.serving.predictor import Scores
from perennial.spec import Frame, ModelSpec
from perennial.store import Store, memory_store
from perennial.training.answers import Answers
from perennial.training.build import Version, build_version
from perennial.training.evaluation import Evaluation
from perennial.training.mistakes import SHOWN, mistakes, percent, sheet
from perennial.training.outcome import CandidateReport, TrainedCandidate
from tests.support.picture_models import build_pictures
from tests.support.pictures import image_spec, pet_bytes

CELL, GAP = 160, 12


def rows_of(store: Store, spec: ModelSpec, pictures: Sequence[tuple[bytes, str, str | None]]) -> Rows:
    """Rows of (bytes, label, file) triples, their pictures stored."""
    lines = []
    for data, label, file in pictures:
        record = read_record(data)
        put_picture(store, spec.name, data)
        own = {"fingerprint": fingerprint(record.picture), "group": None, "file": file}
        lines.append({**record.model_dump(), spec.target.column: label, **own})
    return Rows.of(store, spec, pa.Table.from_pylist(lines, schema=arrow_schema(spec)), ("cat", "dog"))


def holdout(store: Store, spec: ModelSpec, *, wrong: int, right: int = 6) -> Rows:
    """Cats and dogs, of which the last ``wrong`` are cats that were called dogs."""
    kinds = ["cat", "dog"] * (right // 2)
    found: list[tuple[bytes, str, str | None]] = [
        (pet_bytes(seed, kind), kind, f"{kind}/{seed}.png") for seed, kind in enumerate(kinds)
    ]
    found += [(pet_bytes(100 + seed, "cat"), "dog", f"dog/<b>{seed}.png") for seed in range(wrong)]
    return rows_of(store, spec, found)


def built(rows: Rows, spec: ModelSpec) -> Version:
    model = build_pictures(spec)
    reference = FileRef(digest="0" * 64, size=len(model.onnx), media_type="application/octet-stream")
    report = CandidateReport(
        name="pixels", estimator="sklearn.linear_model.LogisticRegression", params={}, folds=(0.9,),
        cross_validation=Metric(value=0.9), fold_kind="stratified", train_rows=40, seed=7, model=reference,
        parity=Parity(max_difference=1e-9, changed_classes=0, holdout_rows=8, boundary_rows=9), pixels=model.frame,
    )  # fmt: skip
    return build_version(
        spec=spec, candidate=TrainedCandidate(report, model.onnx), holdout=rows, dataset="d" * 64,
        classes=("cat", "dog"), code="c0de", run="run-1", progress=lambda text: None,
    )  # fmt: skip


def test_the_sheet_stands_among_the_files_and_in_the_card_and_beside_it_the_same_in_words() -> None:
    spec, store = image_spec(), memory_store()
    version = built(holdout(store, spec, wrong=2), spec)
    card = version.files["card.html"].decode()
    jpeg = version.files["mistakes.jpg"]
    assert version.manifest.files["mistakes.jpg"].media_type == "image/jpeg"
    assert f'src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}"' in card
    assert "All of 2 wrong answers to 8 holdout pictures" in card
    assert "dog/&lt;b&gt;0.png" in card and "<b>" not in card
    assert len(re.findall(r"<tr><th scope=row>[12]</th>", card)) == 2
    for words in ("from a picture of 16 x 16 pixels in colour", "near duplicates", "8 pictures that no training"):
        assert words in card
    assert {"roc.svg", "confusion.svg"} <= set(version.files) and "importance.svg" not in version.files


def test_the_sheet_shows_the_pictures_that_were_wrong_the_surest_first() -> None:
    spec, store = image_spec(), memory_store()
    rows = holdout(store, spec, wrong=3)
    found = built(rows, spec).evaluation.mistakes
    assert found is not None and found.total == 3
    assert sorted(one.row for one in found.surest) == [6, 7, 8]
    sure = [one.probability for one in found.surest]
    assert sure == sorted(sure, reverse=True) and all(one > 0.5 for one in sure)
    drawn = sheet(found, rows, ("cat", "dog"))
    assert drawn.jpeg is not None and rows.pictures is not None
    image = np.asarray(Image.open(io.BytesIO(drawn.jpeg)).convert("RGB"), np.float64)
    for place, one in enumerate(found.surest):
        data = store.get(f"{spec.name}/images/sha256/{rows.pictures.digests[one.row]}").data
        wanted = framed(decode(data), Frame(size=CELL, fit="pad")).astype(np.float64)
        left = GAP + place * (CELL + GAP)
        difference = np.abs(image[GAP : GAP + CELL, left : left + CELL] - wanted)
        assert difference.mean() < 3  # no more than what JPEG takes away


def test_where_nothing_is_wrong_the_card_says_so_and_there_is_no_sheet() -> None:
    spec, store = image_spec(), memory_store()
    version = built(holdout(store, spec, wrong=0), spec)
    assert "mistakes.jpg" not in version.files
    assert "None: all 6 holdout pictures are classified rightly." in version.files["card.html"].decode()


def test_the_same_holdout_gives_the_same_bytes() -> None:
    spec = image_spec()
    one, other = (built(holdout(memory_store(), spec, wrong=2), spec) for _ in range(2))
    assert one.files == other.files and one.manifest.version == other.manifest.version


def test_an_evaluation_with_mistakes_reads_back() -> None:
    spec, store = image_spec(), memory_store()
    evaluation = built(holdout(store, spec, wrong=1), spec).evaluation
    assert Evaluation.model_validate_json(evaluation.to_bytes()) == evaluation


@pytest.mark.parametrize("wrong", [1, SHOWN - 1, SHOWN, SHOWN + 1])
def test_the_sheet_grows_to_its_bound_and_counts_the_rest(wrong: int) -> None:
    truth = np.zeros(wrong)
    sure = np.linspace(0.6, 0.9, wrong)
    answers = Answers.of(truth, Scores(np.ones(wrong, np.int64), np.column_stack([1 - sure, sure]), None))
    found = mistakes(answers)
    assert found.total == wrong
    assert [one.row for one in found.surest] == list(range(wrong))[::-1][:SHOWN]
    assert found.surest[0].probability == pytest.approx(sure[-1])


def test_names_of_any_length_and_alphabet_fit_under_a_picture() -> None:
    spec, store = image_spec(), memory_store()
    name = "Löwenzahn/Одуванчик\n" + "x" * 500 + ".png"
    rows = rows_of(store, spec, [(pet_bytes(1, "cat"), "dog", name), (pet_bytes(2, "cat"), "dog", None)])
    answers = Answers.of(np.ones(2), Scores(np.zeros(2, np.int64), np.array([[0.9, 0.1]] * 2), None))
    drawn = sheet(mistakes(answers), rows, ("cat", "dog"))
    assert drawn.jpeg is not None and rows.pictures is not None
    assert Image.open(io.BytesIO(drawn.jpeg)).size == (2 * (CELL + GAP) + GAP, CELL + 48 + 2 * GAP)
    assert drawn.shown[0].file == name
    assert drawn.shown[1].file == rows.pictures.digests[1][:16]


def test_no_answer_is_called_certain() -> None:
    assert (percent(1.0), percent(0.98765)) == ("99.99 %", "98.77 %")
