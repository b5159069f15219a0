"""The predictor on pictures: right answers, the same in any company, and only graphs that fit their manifest."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.errors import IntegrityError
from perennial.images.record import ImageRecord, read_record
from perennial.registry.manifest import MODEL_FILE, FileRef, ModelManifest
from perennial.serving.predictor import Predictor
from perennial.spec import Frame
from tests.support.models import build
from tests.support.picture_models import BuiltPictures, answer, build_pictures, picture_onnx
from tests.support.pictures import blotches, digit_spec, image_spec, pet_bytes, picture_bytes

BUILT = build_pictures()
PREDICTOR = Predictor(BUILT.manifest, BUILT.onnx)


def records(count: int = 12) -> list[ImageRecord]:
    return [read_record(pet_bytes(seed, "cat" if seed % 2 else "dog", size=(20 + seed, 30))) for seed in range(count)]


def test_each_picture_gets_what_the_graph_computes_of_its_frame() -> None:
    some = records()
    for seed, (record, found) in enumerate(zip(some, PREDICTOR.predict(some), strict=True)):
        assert found.probabilities is not None
        expected = answer(BUILT, PREDICTOR.frame(record))
        assert list(found.probabilities) == ["cat", "dog"]
        assert list(found.probabilities.values()) == pytest.approx(expected, abs=1e-12)
        assert found.prediction == ("cat" if seed % 2 else "dog")


@settings(max_examples=20)
@given(st.lists(st.integers(0, 11), min_size=1, max_size=12))
def test_a_picture_has_the_same_bits_alone_and_in_any_company(places: list[int]) -> None:
    some = records()
    together = PREDICTOR.predict([some[place] for place in places])
    assert together == [PREDICTOR.predict([some[place]])[0] for place in places]


def test_one_predictor_serves_threads() -> None:
    some = records()
    alone = PREDICTOR.predict(some)
    with ThreadPoolExecutor(4) as pool:
        assert all(found == alone for found in pool.map(lambda _: PREDICTOR.predict(some), range(8)))


def test_no_pictures_have_no_answers() -> None:
    assert PREDICTOR.predict([]) == []
    scores = PREDICTOR.look([])
    assert scores.labels is not None and scores.labels.shape == (0,)
    assert scores.probabilities is not None and scores.probabilities.shape == (0, 2)


def test_framed_pictures_are_answered_as_their_records_are() -> None:
    some = records()
    assert PREDICTOR.predict_framed([PREDICTOR.frame(record) for record in some]) == PREDICTOR.predict(some)


@pytest.mark.parametrize("frame", [Frame(size=8), Frame(size=24, color="grey"), Frame(size=16, fit="pad")])
def test_pictures_are_framed_as_the_manifest_says(frame: Frame) -> None:
    built = build_pictures(frame=frame)
    predictor = Predictor(built.manifest, built.onnx)
    record = read_record(picture_bytes(blotches(2, size=(80, 40))))
    [found] = predictor.predict([record])
    assert predictor.frame(record).shape == frame.shape
    assert found.probabilities is not None
    assert list(found.probabilities.values()) == pytest.approx(answer(built, predictor.frame(record)), abs=1e-12)


def test_many_classes_are_answered_by_their_names() -> None:
    built = build_pictures(digit_spec())
    [found] = Predictor(built.manifest, built.onnx).predict(records(1))
    assert found.probabilities is not None
    assert list(found.probabilities) == [str(digit) for digit in range(10)]
    assert sum(found.probabilities.values()) == pytest.approx(1)


def test_a_record_that_was_stored_is_not_answered_by_chance() -> None:
    with pytest.raises(RuntimeError, match="no pixels"):
        PREDICTOR.predict([records(1)[0].without_pixels()])


def with_graph(manifest: ModelManifest, graph: bytes) -> ModelManifest:
    digest = hashlib.sha256(graph).hexdigest()
    file = FileRef(digest=digest, size=len(graph), media_type="application/octet-stream")
    return manifest.model_copy(update={"files": {MODEL_FILE: file}})


def another(**changes: Any) -> BuiltPictures:
    return build_pictures(frame=Frame(**{"size": 16, **changes}))


@pytest.mark.parametrize("changes", [{"size": 24}, {"color": "grey"}])
def test_a_graph_of_another_frame_is_refused(changes: dict[str, Any]) -> None:
    graph = another(**changes).onnx
    with pytest.raises(IntegrityError, match=r"takes .* instead of"):
        Predictor(with_graph(BUILT.manifest, graph), graph)


def test_a_graph_of_rows_is_no_graph_of_pictures_and_the_other_way_round() -> None:
    rows = build()
    with pytest.raises(IntegrityError, match=r"instead of .*tensor\(uint8\)"):
        Predictor(with_graph(BUILT.manifest, rows.onnx), rows.onnx)
    with pytest.raises(IntegrityError, match=r"instead of .*tensor\(double\)"):
        Predictor(with_graph(rows.manifest, BUILT.onnx), BUILT.onnx)


def test_a_graph_of_other_classes_is_refused() -> None:
    frame = BUILT.frame
    graph = picture_onnx(frame, np.zeros((frame.size * frame.size * 3, 5)))
    with pytest.raises(IntegrityError, match="5 probabilities for 2 classes"):
        Predictor(with_graph(BUILT.manifest, graph), graph)


def test_a_manifest_of_pictures_reads_back_with_its_frame() -> None:
    again = ModelManifest.model_validate_json(BUILT.manifest.model_dump_json())
    assert again == BUILT.manifest
    assert again.version == BUILT.version
    assert again.pixels == image_spec().image.frame  # type: ignore[union-attr]
