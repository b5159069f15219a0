"""Candidates over pictures: from rows to a version that serves, and what is refused with which words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from perennial import keys
from perennial.datasets.load import Rows
from perennial.errors import IntegrityError
from perennial.export.backbones import add_backbone
from perennial.export.picture_parity import look
from perennial.export.preparation import Preparation
from perennial.images.record import read_record
from perennial.serving.predictor import Predictor
from perennial.spec import Frame, ModelSpec
from perennial.store import Store, memory_store
from perennial.training.build import build_version
from perennial.training.folds import make_folds
from perennial.training.outcome import CandidateReport, RefusedCandidate, TrainedCandidate
from tests.support.backbones import SIZE, network
from tests.support.picture_rows import DIGITS, digit_files, picture_rows, trained
from tests.support.pictures import digit_spec, image_spec, pet_bytes

LINEAR = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"max_iter": 300}}
PETS = ("cat", "dog")


class Digits:
    """Rows of 300 digits to learn from and 80 to hold out."""

    def __init__(self, **candidates: Any) -> None:
        self.store = memory_store()
        self.spec = digit_spec(candidates=candidates)
        files, labels = digit_files(0, 380)
        self.files, self.labels = files[300:], labels[300:]
        self.train = picture_rows(self.store, self.spec, files[:300], labels[:300], DIGITS)
        self.holdout = picture_rows(self.store, self.spec, self.files, self.labels, DIGITS)

    def trained(self, name: str, said: list[str] | None = None) -> TrainedCandidate | RefusedCandidate:
        return trained(self.spec, name, self.train, self.holdout, DIGITS, said)


def report_of(outcome: TrainedCandidate | RefusedCandidate) -> CandidateReport:
    assert isinstance(outcome, TrainedCandidate), outcome
    return outcome.report


@pytest.mark.parametrize(
    ("candidate", "frame"),
    [
        ({"features": "pixels", **LINEAR}, Frame(size=16, color="grey")),
        ({"features": "hog", "size": 24, **LINEAR}, Frame(size=24, color="grey")),
        (
            {"features": "pixels", "size": 8, "estimator": "sklearn.ensemble.RandomForestClassifier",
             "params": {"n_estimators": 12}}, Frame(size=8, color="grey"),
        ),
    ],
    ids=["pixels", "hog", "forest"],
)  # fmt: skip
def test_an_estimator_over_pictures_becomes_a_version_that_serves(candidate: dict[str, Any], frame: Frame) -> None:
    digits = Digits(it=candidate)
    outcome = digits.trained("it")
    report = report_of(outcome)
    assert isinstance(outcome, TrainedCandidate)
    assert report.pixels == frame and report.fold_kind == "grouped"
    assert report.cross_validation.value > 0.85
    assert report.parity.max_difference < 1e-9 and report.parity.holdout_rows == 80
    version = build_version(
        spec=digits.spec, candidate=outcome, holdout=digits.holdout, dataset="d" * 64, classes=DIGITS, code="c",
        run="r", progress=lambda line: None,
    )  # fmt: skip
    assert version.manifest.pixels == frame
    predictor = Predictor(version.manifest, outcome.onnx)
    found = predictor.predict([read_record(data) for data in digits.files])
    right = np.mean([one.prediction == label for one, label in zip(found, digits.labels, strict=True)])
    assert right == version.manifest.metrics["accuracy"].value > 0.75


def test_training_twice_gives_the_same_bytes_and_says_what_it_does() -> None:
    digits = Digits(it={"features": "hog", **LINEAR, "search": {"C": [0.1, 1.0]}})
    said: list[str] = []
    first, second = digits.trained("it", said), digits.trained("it")
    assert report_of(first) == report_of(second)
    assert all(line.startswith("it: ") for line in said)
    assert {"it: 2 settings on 300 rows, 5 folds", "it: exporting, and proving the export"} <= set(said)


def pets(candidates: dict[str, Any], **changes: Any) -> tuple[Store, ModelSpec, Rows, Rows]:
    store, spec = memory_store(), image_spec(candidates=candidates, **changes)
    files = [(pet_bytes(seed, kind), kind) for seed in range(40) for kind in PETS]
    made = [
        picture_rows(store, spec, [data for data, _ in part], [kind for _, kind in part], PETS)
        for part in (files[:60], files[60:])
    ]
    return store, spec, made[0], made[1]


@pytest.mark.parametrize("more", [{}, {"quantize": "int8"}], ids=["as it is", "in eight bits"])
@pytest.mark.parametrize("color", ["rgb", "grey"])
def test_a_backbone_and_its_head_are_one_graph(color: str, more: dict[str, Any]) -> None:
    store, spec, rows, holdout = pets({"it": {"backbone": "tiny", **LINEAR, **more}}, image={"color": color})
    add_backbone(store, "tiny", network(), Preparation(layout="NCHW", size=SIZE, range=(-1, 1)))
    outcome = trained(spec, "it", rows, holdout, PETS)
    report = report_of(outcome)
    assert isinstance(outcome, TrainedCandidate) and holdout.pictures is not None
    assert report.pixels == Frame.model_validate({"size": SIZE, "color": color})
    found = look(outcome.onnx, holdout.pictures.framed(report.pixels))
    if color == "rgb":
        assert (found.labels == holdout.y).mean() > 0.9  # each class is brightest in a channel of its own
    assert report.parity.max_difference < 1e-9
    version = build_version(
        spec=spec, candidate=outcome, holdout=holdout, dataset="d" * 64, classes=PETS, code="c", run="r",
        progress=lambda line: None,
    )  # fmt: skip
    served = Predictor(version.manifest, outcome.onnx).look(holdout.pictures.framed(report.pixels))
    assert served.probabilities is not None
    np.testing.assert_array_equal(served.probabilities, found.probabilities)  # bit for bit what was proven


@pytest.mark.parametrize(
    ("candidate", "words"),
    [
        ({"backbone": "unknown", **LINEAR}, "candidates.it.backbone: The bucket has no backbone 'unknown'."),
        ({"backbone": "unknown", **LINEAR}, "perennial backbone add unknown FILE.onnx --layout NHWC"),
        ({"features": "pixels", "size": 65, **LINEAR}, "12,675 numbers of each picture of 65 pixels are too many"),
        ({"features": "hog", "size": 224, **LINEAR}, "Set candidates.it.size to 128 or less"),
        ({"features": "hog", "size": 15, **LINEAR}, "need pictures of 16 pixels, not of 15"),
        ({"features": "pixels", "estimator": "sklearn.linear_model.LinearRegression"}, "does not fit a binary task"),
        ({"features": "pixels", **LINEAR, "params": {"max_iters": 1}}, "has no such parameter. Did you mean max_iter?"),
        ({"features": "pixels", "estimator": "sklearn.naive_bayes.MultinomialNB"}, "takes no negative numbers"),
    ],
)  # fmt: skip
def test_what_cannot_be_trained_is_refused_with_its_remedy(candidate: dict[str, Any], words: str) -> None:
    _, spec, rows, holdout = pets({"it": candidate})
    outcome = trained(spec, "it", rows, holdout, PETS)
    assert isinstance(outcome, RefusedCandidate)
    assert words in outcome.reason


def test_more_numbers_than_memory_holds_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perennial.training.pictures.MOST_NUMBERS", 1000)
    _, spec, rows, holdout = pets({"it": {"features": "pixels", **LINEAR}})
    outcome = trained(spec, "it", rows, holdout, PETS)
    assert isinstance(outcome, RefusedCandidate)
    assert "768 numbers of each of 60 pictures do not fit into memory" in outcome.reason


def test_a_picture_that_is_gone_ends_the_training_not_the_candidate() -> None:
    store, spec, rows, holdout = pets({"it": {"features": "pixels", **LINEAR}})
    assert rows.pictures is not None
    store.remove(keys.image(spec.name, rows.pictures.digests[3]))
    with pytest.raises(IntegrityError, match="is gone"):
        trained(spec, "it", rows, holdout, PETS)


def test_folds_never_part_pictures_of_one_group_and_keep_both_classes() -> None:
    spec, store = image_spec(), memory_store()
    files = [(pet_bytes(seed, kind), kind, f"{kind}{seed // 3}") for seed in range(45) for kind in PETS]
    rows = picture_rows(
        store,
        spec,
        [data for data, _, _ in files],
        [kind for _, kind, _ in files],
        PETS,
        [group for *_, group in files],
    )
    folds = make_folds(spec, rows.y, rows.table, PETS, seed=3)
    groups = np.array([group for *_, group in files])
    assert len(folds.folds) == 5
    assert sorted(np.concatenate([fold.test for fold in folds.folds])) == list(range(90))
    for fold in folds.folds:
        assert not set(groups[fold.train]) & set(groups[fold.test])
        assert len(np.unique(rows.y[fold.test])) == 2


def test_few_groups_make_few_folds() -> None:
    spec, store = image_spec(), memory_store()
    files = [(pet_bytes(seed, kind), kind) for seed in range(20) for kind in PETS]
    groups = [f"{kind}{place % 3}" if kind == "cat" else None for place, (_, kind) in enumerate(files)]
    rows = picture_rows(store, spec, [data for data, _ in files], [kind for _, kind in files], PETS, groups)
    folds = make_folds(spec, rows.y, rows.table, PETS, seed=3)
    assert len(folds.folds) == 3
    assert folds.notes == ("the rarest class has 3 groups of training pictures: fewer folds",)
