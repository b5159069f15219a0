"""Pictures looked at in seven views: the graph against numpy, what is learnt from them, and what serves."""

from __future__ import annotations

from typing import Any

import numpy as np
import onnx
import pytest

from perennial.datasets.load import Rows
from perennial.export.backbones import add_backbone, backbone_extractor
from perennial.export.extractors import Extractor
from perennial.export.extractors.tiles import FARTHEST, VIEWS, tiled, views_of
from perennial.export.graph import Graph
from perennial.export.merge import merged
from perennial.export.picture_parity import boundary_pictures, look
from perennial.export.preparation import Preparation
from perennial.export.runtime import session
from perennial.serving.predictor import Predictor
from perennial.spec import Frame
from perennial.store import Store, memory_store
from perennial.training.build import build_version
from perennial.training.folds import Fold, Folds
from perennial.training.outcome import RefusedCandidate, TrainedCandidate
from perennial.training.pictures import extracted
from perennial.training.search import Problem, fold_score
from tests.support.backbones import SIZE, WIDTH, network
from tests.support.picture_rows import picture_rows, trained
from tests.support.pictures import image_spec, pet_bytes

LINEAR = {"estimator": "sklearn.linear_model.LogisticRegression", "params": {"max_iter": 300}}
PETS = ("cat", "dog")
HOW = Preparation(layout="NCHW", size=SIZE, range=(-1, 1))


def tiny(color: str = "rgb", how: Preparation = HOW, store: Store | None = None) -> Extractor:
    store = store or memory_store()
    add_backbone(store, "tiny", network(size=how.size), how)
    return backbone_extractor(store, "tiny", Frame.model_validate({"color": color}))


def run(extractor: Extractor, picture: np.ndarray) -> list[np.ndarray]:
    return list(session(extractor.onnx).run(None, {"x": picture[np.newaxis]}))


@pytest.mark.parametrize("channels", [1, 3])
def test_the_views_are_the_whole_its_mirror_image_and_five_tiles(channels: int) -> None:
    picture = np.random.default_rng(1).integers(0, 256, (16, 16, channels), np.uint8)
    views = views_of(picture)
    assert views.shape == (VIEWS, 8, 8, channels) and views.dtype == np.uint8
    for row, column in [(0, 0), (3, 7), (5, 2)]:
        four = picture[2 * row : 2 * row + 2, 2 * column : 2 * column + 2].astype(int).sum(axis=(0, 1))
        assert views[0, row, column].tolist() == [round(each / 4) for each in four.tolist()]
    np.testing.assert_array_equal(views[1], views[0][:, ::-1])
    for place, (top, left) in enumerate([(0, 0), (0, 8), (8, 0), (8, 8), (4, 4)], start=2):
        np.testing.assert_array_equal(views[place], picture[top : top + 8, left : left + 8])


@pytest.mark.parametrize("color", ["rgb", "grey"])
def test_each_view_is_seen_bit_for_bit_as_a_picture_of_its_own(color: str) -> None:
    extractor = tiny(color)
    seven = tiled(extractor)
    assert seven.frame == extractor.frame.model_copy(update={"size": 2 * SIZE})
    assert (seven.width, seven.views, extractor.views) == (WIDTH, VIEWS, 0)
    model = onnx.load_model_from_string(seven.onnx)
    onnx.checker.check_model(model, full_check=True)
    assert {each.domain for each in model.opset_import} == {""}
    for picture in boundary_pictures(seven.frame, [np.ones(seven.frame.shape, np.uint8)]):
        features, views = run(seven, picture)
        alone = np.concatenate([run(extractor, np.ascontiguousarray(view))[0] for view in views_of(picture)])
        np.testing.assert_array_equal(views, alone)
        np.testing.assert_allclose(features, alone.astype(np.float64).mean(axis=0, keepdims=True), rtol=1e-15)


def test_an_estimator_learns_from_views_and_is_scored_on_their_mean() -> None:
    rng = np.random.default_rng(0)
    y = np.tile([0.0, 1.0], 30)
    views = (rng.normal(size=(60, VIEWS, 3)) + y[:, None, None]).astype(np.float32)
    folds = Folds("grouped", (Fold(np.arange(40), np.arange(40, 60)),))
    problem = Problem(views.mean(axis=1).astype(np.float64), y, "binary", "accuracy", 2, folds, 0, views)

    class Noting:
        def fit(self, x: np.ndarray, y: np.ndarray) -> None:
            self.x, self.y = x, y

        def predict(self, x: np.ndarray) -> np.ndarray:
            self.asked = x
            return np.asarray(x.mean(axis=1) > 0.5, np.int64)

        def predict_proba(self, x: np.ndarray) -> np.ndarray:
            return np.stack([1 - self.predict(x), self.predict(x)], axis=1)

    noting = Noting()
    assert fold_score(noting, problem, folds.folds[0], 60) > 0.7
    assert noting.x.dtype == np.float64 and noting.y.dtype == np.int64
    np.testing.assert_array_equal(noting.x, views[:40].reshape(-1, 3))
    np.testing.assert_array_equal(noting.y, np.repeat(y[:40], VIEWS))
    np.testing.assert_array_equal(noting.asked, problem.x[40:])


def pets(**more: Any) -> tuple[Store, Any, Rows, Rows]:
    spec = image_spec(candidates={"it": {"backbone": "tiny", "tiles": True, **LINEAR, **more}})
    store = memory_store()
    files = [(pet_bytes(seed, kind), kind) for seed in range(40) for kind in PETS]
    made = [
        picture_rows(store, spec, [data for data, _ in part], [kind for _, kind in part], PETS)
        for part in (files[:60], files[60:])
    ]
    return store, spec, made[0], made[1]


@pytest.mark.parametrize("more", [{}, {"quantize": "int8"}], ids=["as it is", "in eight bits"])
def test_one_graph_is_proven_and_serves_what_was_proven(more: dict[str, Any]) -> None:
    store, spec, rows, holdout = pets(**more)
    extractor = tiny(store=store)
    said: list[str] = []
    outcome = trained(spec, "it", rows, holdout, PETS, said)
    assert isinstance(outcome, TrainedCandidate) and holdout.pictures is not None
    frame = Frame(size=2 * SIZE)
    assert outcome.report.pixels == frame and outcome.report.train_rows == 60
    assert outcome.report.parity.max_difference < 1e-9
    assert any("6 features in 7 views of each of 60 training pictures" in line for line in said)
    served = onnx.load_model_from_string(outcome.onnx)
    assert {each.domain for each in served.opset_import} <= {"", "ai.onnx.ml"}
    assert [each.name for each in served.graph.output] == ["label", "probabilities"]
    found = look(outcome.onnx, holdout.pictures.framed(frame))
    assert (found.labels == holdout.y).mean() > 0.9
    version = build_version(
        spec=spec, candidate=outcome, holdout=holdout, dataset="d" * 64, classes=PETS, code="c", run="r",
        progress=lambda line: None,
    )  # fmt: skip
    predictor = Predictor(version.manifest, outcome.onnx)
    together = predictor.look(holdout.pictures.framed(frame)).probabilities
    alone = [predictor.look([one]).probabilities for one in holdout.pictures.framed(frame)]
    assert together is not None
    np.testing.assert_array_equal(together, found.probabilities)
    np.testing.assert_array_equal(together, np.concatenate([one for one in alone if one is not None]))
    if not more:
        assert extractor.width == WIDTH
        again = trained(spec, "it", rows, holdout, PETS)
        assert isinstance(again, TrainedCandidate) and again.onnx == outcome.onnx


def test_views_count_towards_what_memory_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("perennial.training.pictures.MOST_NUMBERS", 60 * WIDTH * VIEWS)
    store, spec, rows, holdout = pets()
    tiny(store=store)
    outcome = trained(spec, "it", rows, holdout, PETS)
    assert isinstance(outcome, RefusedCandidate)
    assert "48 numbers of each of 60 pictures do not fit into memory" in outcome.reason
    assert "remove tiles" in outcome.reason


def test_a_backbone_that_takes_large_pictures_is_not_given_tiles() -> None:
    store, spec, rows, holdout = pets()
    tiny(how=HOW.model_copy(update={"size": FARTHEST + 1}), store=store)
    outcome = trained(spec, "it", rows, holdout, PETS)
    assert isinstance(outcome, RefusedCandidate)
    assert "candidates.it.tiles: pictures of 514 pixels are too large, at most 512" in outcome.reason


def test_the_merged_graph_sees_what_the_estimator_was_given() -> None:
    seven = tiled(tiny())
    picture = np.random.default_rng(3).integers(0, 256, seven.frame.shape, np.uint8)
    [features] = extracted(seven, iter([picture]))
    graph = Graph(WIDTH)
    head = graph.finish({"label": (graph.op("ArgMax", "x", axis=1, keepdims=0), "int64", None),
                         "probabilities": (graph.op("Identity", "x"), "float64", WIDTH)})  # fmt: skip
    np.testing.assert_array_equal(look(merged(seven.onnx, head), [picture]).probabilities[0], features)
