"""A version: complete, self-contained, the same on every run, and safe to look at."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from perennial.registry.gate import decide
from perennial.registry.registry import Registry
from perennial.serving.load import load
from perennial.spec import ModelSpec
from perennial.store import memory_store
from perennial.training.build import Version, build_version
from perennial.training.candidate import train_candidate
from perennial.training.outcome import TrainedCandidate
from tests.support import training as cases
from tests.support.training import Problem

ROOT = Path(__file__).resolve().parents[2]


def built(problem: Problem) -> Version:
    outcome = train_candidate(
        problem.spec, "linear", problem.train, problem.holdout.x, problem.classes, progress=lambda text: None
    )
    assert isinstance(outcome, TrainedCandidate)
    return build_version(
        spec=problem.spec,
        candidate=outcome,
        holdout=problem.holdout,
        dataset="d" * 64,
        classes=problem.classes,
        code="c0de",
        run="run-1",
        progress=lambda text: None,
    )


def searched() -> Problem:
    return cases.mixed(600).having(candidates={"linear": {**cases.BOOSTED, "search": {"max_leaf_nodes": [4, 8]}}})


@pytest.fixture(scope="module")
def version() -> Version:
    return built(cases.mixed())


def test_the_manifest_names_every_file_by_its_content(version: Version) -> None:
    assert set(version.manifest.files) == set(version.files)
    assert {"model.onnx", "evaluation.json", "card.html", "roc.svg", "importance.svg"} <= set(version.files)
    for name, reference in version.manifest.files.items():
        data = version.files[name]
        assert reference.digest == hashlib.sha256(data).hexdigest()
        assert reference.size == len(data)
    assert version.manifest.files["roc.svg"].media_type == "image/svg+xml"


def test_the_manifest_says_how_the_version_came_to_be(version: Version) -> None:
    manifest = version.manifest
    assert (manifest.dataset, manifest.code, manifest.run, manifest.seed) == ("d" * 64, "c0de", "run-1", 42)
    assert {"scikit-learn", "numpy", "onnx", "skl2onnx", "onnxruntime", "xgboost-cpu", "pyarrow"} <= set(
        manifest.libraries
    )
    assert manifest.metrics == version.evaluation.metrics
    assert manifest.slices["group"]["a"]["rows"] + manifest.slices["group"]["b"]["rows"] == manifest.holdout_rows


def test_a_version_can_be_published_judged_and_served(version: Version) -> None:
    store = memory_store()
    published = Registry(store).publish(version.manifest, version.files)
    manifest = Registry(store).manifest("case", published)
    assert decide(manifest, None).passed
    predictor = load(store, "case", published)
    problem = cases.mixed()
    labels = predictor.run(problem.holdout.x).labels
    assert np.mean(labels == problem.holdout.y) == manifest.metrics["accuracy"].value


def test_another_process_with_other_threads_and_hashes_builds_the_same_version() -> None:
    code = "from tests.unit.test_training_build import *; print(built(searched()).manifest.version)"
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2", "PYTHONHASHSEED": "7"}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == built(searched()).manifest.version
    assert done.stderr == ""


class Reader(HTMLParser):
    """What a browser would find: tags, attributes and text."""

    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.words = ""
        self.feed(page.decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_card_shows_metrics_groups_and_every_chart_and_loads_nothing(version: Version) -> None:
    card = Reader(version.files["card.html"])
    roc_auc = version.manifest.metrics["roc_auc"]
    assert roc_auc.low is not None
    for text in (f"{roc_auc.value:.4f}", f"{roc_auc.low:.4f}", "color", "(missing)", "d" * 64, "run-1"):
        assert text in card.words
    assert card.tags.count("img") == len(version.evaluation.charts)
    assert "script" not in card.tags
    for name, value in card.attributes:
        assert not name.startswith("on")
        if name in ("src", "href"):
            assert value.startswith("data:image/svg+xml;base64,")
    assert re.search(r"default-src 'none'", dict(card.attributes)["content"] + version.files["card.html"].decode())


def test_names_from_data_cannot_break_out_of_the_card() -> None:
    evil = '"><script>alert(1)</script>'
    problem = cases.iris()
    spec = problem.spec.model_dump(mode="json")
    spec["target"]["column"] = evil
    spec["features"] = [[f"{evil}{name}", feature] for name, feature in spec["features"]]
    names = {old: new for old, (new, _) in zip(problem.spec.features, spec["features"], strict=True)}
    table = problem.train.table.rename_columns([names.get(name, evil) for name in problem.train.table.column_names])
    whole = {name: table.column(name) for name in table.column_names}
    hostile = cases.make(ModelSpec.model_validate(spec), whole, problem.classes)
    version = built(hostile)
    assert "script" not in Reader(version.files["card.html"]).tags
    assert evil in Reader(version.files["card.html"]).words
    assert all(b"<script" not in data for name, data in version.files.items() if name.endswith(".svg"))
