"""A version's first run: in bounds for real models, refused before it serves where it takes too much or never ends."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from onnx import helper, numpy_helper

from perennial import keys
from perennial.errors import IntegrityError, PromotionRefused
from perennial.jobs.edges import answer_edges, edges, refuse_nonsense
from perennial.jobs.rehearse import LIMITS, limits_for, rehearse
from perennial.serving.predictor import Predictor, Scores
from perennial.store import memory_store
from tests.support.hostile_models import Made, bomb, classifier, endless, nowhere, regression
from tests.support.models import MIXED, build, make_spec, register
from tests.support.picture_models import build_pictures

QUICK = replace(LIMITS, seconds=6)


@pytest.mark.parametrize("made", [build(make_spec("m", features=MIXED)), build_pictures()], ids=["table", "pictures"])
def test_a_real_version_survives_its_first_run(made: Any) -> None:
    store = memory_store()
    rehearse(store, made.manifest.model, register(store, made))


def test_what_asks_for_all_memory_is_refused() -> None:
    store, made = memory_store(), bomb()
    with pytest.raises(PromotionRefused, match=r"may not serve: it cannot be run: .*ConstantOfShape"):
        rehearse(store, "m", register(store, made), limits=QUICK)


def test_what_takes_more_than_the_function_has_is_refused() -> None:
    store, made = memory_store(), bomb(300)
    version = register(store, made)
    rehearse(store, "m", version)
    with pytest.raises(PromotionRefused, match=r"takes [\d,]{3,} of the 512 MB that the API has") as refused:
        rehearse(store, "m", version, megabytes=512)
    assert "ApiMegabytes" in str(refused.value.remedy) and "PERENNIAL_API_MEGABYTES" in str(refused.value.remedy)


def test_a_larger_function_bounds_the_process_less() -> None:
    assert limits_for(512) == limits_for(1024) == LIMITS
    assert limits_for(4096).memory > 4096 << 20


def test_what_never_ends_is_refused() -> None:
    store, made = memory_store(), endless()
    with pytest.raises(PromotionRefused, match=r"may not serve: its first run (took longer than|ended with code)"):
        rehearse(store, "m", register(store, made), limits=replace(LIMITS, seconds=3))


@pytest.mark.parametrize(
    ("made", "why"),
    [(classifier(3), "beyond the 3"), (classifier(-1), "beyond the 3"), (classifier(0, 4), "4 probabilities for 3"),
     (nowhere(), "no finite answer")],
    ids=["class-too-far", "class-before-the-first", "one-class-more", "never-a-number"],
)  # fmt: skip
def test_what_gives_no_answer_that_could_be_told_is_refused(made: Made, why: str) -> None:
    store = memory_store()
    with pytest.raises(PromotionRefused, match=rf"model\.onnx of m [0-9a-f]{{16}} may not serve: .*{why}"):
        rehearse(store, "m", register(store, made))


@pytest.mark.parametrize(
    "found",
    [Scores(None, None, np.zeros((4, 1))), Scores(None, None, np.zeros(3)),
     Scores(np.zeros(4, np.int64), np.zeros((4, 3)), None), Scores(np.zeros(3, np.int64), np.zeros((4, 2)), None)],
    ids=["a-column-a-row", "too-few", "a-class-too-many", "too-few-labels"],
)  # fmt: skip
def test_answers_of_another_shape_are_nonsense(found: Scores) -> None:
    with pytest.raises(IntegrityError, match="of the shape"):
        refuse_nonsense(found, 4, 2)


def test_what_overflows_at_an_edge_alone_survives() -> None:
    store = memory_store()
    made = regression([helper.make_node("Squeeze", ["x", "axis"], ["plain"]),
                       helper.make_node("Exp", ["plain"], ["value"])],
                      [numpy_helper.from_array(np.array([1], np.int64), "axis")])  # fmt: skip
    rehearse(store, "m", register(store, made))


def test_a_graph_larger_than_the_function_is_refused_unread() -> None:
    store, made = memory_store(), bomb()
    files = {name: ref.model_copy(update={"size": 300 << 20}) for name, ref in made.manifest.files.items()}
    manifest = made.manifest.model_copy(update={"files": files})
    store.put_new(keys.version_manifest("m", manifest.version), manifest.to_bytes())
    with pytest.raises(PromotionRefused, match="it has 300 of the 256 MB that the API has"):
        rehearse(store, "m", manifest.version, megabytes=256)


def test_what_a_graph_is_called_does_not_reach_a_terminal() -> None:
    store = memory_store()
    made = regression([helper.make_node("Add", ["x", "no\x1b[31m\nsuch"], ["value"])], [])
    with pytest.raises(PromotionRefused, match="is not a graph input") as refused:
        rehearse(store, "m", register(store, made))
    assert str(refused.value).isprintable()


def test_a_version_that_is_not_there_is_refused() -> None:
    with pytest.raises(PromotionRefused, match="has no version"):
        rehearse(memory_store(), "m", hashlib.sha256(b"").hexdigest()[:16])


def test_edges_are_those_of_the_spec() -> None:
    features = {"a": {"type": "number", "min": 2, "max": 3}, "b": {"type": "category", "values": ["x", "y", "z"]},
                "c": {"type": "number"}}  # fmt: skip
    made = build(make_spec("m", features=features))
    predictor = Predictor(made.manifest, made.onnx)
    least, most, missing, unknown = edges(predictor)
    assert least.tolist() == [2, 0, -1e6]
    assert most.tolist() == [3, 2, 1e6]
    assert np.isnan(missing).all()
    assert unknown.tolist() == [2, -1, -1e6]
    answer_edges(predictor)
