"""Real photographs and X-rays, from folders to served models that are asked through the API about what they never saw.

What is asked about was never landed: every fifth group of copies, or patient, of each class stays behind.
"""

from __future__ import annotations

import json
import re
import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.metrics import accuracy_score, recall_score, roc_auc_score

from lambdas.api.app import create_app
from perennial.datasets.landing import land
from perennial.export.backbones import add_backbone
from perennial.export.preparation import Preparation
from perennial.images.decode import decode
from perennial.images.fingerprint import fingerprint, near_pairs, related, same_value
from perennial.jobs.cycle import run_cycle
from perennial.jobs.workspace import Workspace
from perennial.registry.manifest import ModelManifest
from perennial.registry.registry import Registry
from perennial.settings import Settings
from perennial.spec import ModelSpec, load_spec
from perennial.store import Store, memory_store
from tests.support.events import caller

EXAMPLES = Path(__file__).parents[2] / "examples"
MOBILENET = Preparation(layout="NHWC", size=224, range=(-1.0, 1.0))
BACKBONE = "backbone/mobilenetv2_035_features.onnx"
PARTS = 5


@dataclass(frozen=True)
class Asked:
    """What the API answered about unseen pictures: truth and answers as 1 for the positive class."""

    truth: np.ndarray[Any, np.dtype[np.int64]]
    label: np.ndarray[Any, np.dtype[np.int64]]
    probability: np.ndarray[Any, np.dtype[np.float64]]

    @property
    def accuracy(self) -> float:
        return float(accuracy_score(self.truth, self.label))

    @property
    def recall(self) -> float:
        return float(recall_score(self.truth, self.label))

    @property
    def roc_auc(self) -> float:
        return float(roc_auc_score(self.truth, self.probability))


def example(name: str, *without: str) -> ModelSpec:
    """The spec of an example, without some of its candidates."""
    spec = load_spec(EXAMPLES / name / "model.yaml")
    return spec.model_copy(update={"candidates": {k: v for k, v in spec.candidates.items() if k not in without}})


def parted(source: Path, spec: ModelSpec, landed: Path, part: int = 0) -> list[Path]:
    """Copy four of five groups of related pictures into ``landed``, and return the files of the fifth."""
    files = sorted(path for path in source.glob("*/*") if path.is_file())
    pattern = spec.image.group_pattern if spec.image is not None else None
    matches = [re.search(pattern, path.name) if pattern else None for path in files]
    prints = [fingerprint(decode(path.read_bytes())) for path in files]
    groups = related(len(files), near_pairs(prints), same_value([m and m.group(1) for m in matches])).tolist()
    of_class: dict[str, list[int]] = defaultdict(list)
    for path, group in zip(files, groups, strict=True):
        if group not in of_class[path.parent.name]:
            of_class[path.parent.name].append(group)
    behind = {group for some in of_class.values() for group in some[part::PARTS]}
    for path, group in zip(files, groups, strict=True):
        if group not in behind:
            (landed / path.parent.name).mkdir(parents=True, exist_ok=True)
            shutil.copy(path, landed / path.parent.name / path.name)
    return [path for path, group in zip(files, groups, strict=True) if group in behind]


def trained(store: Store, spec: ModelSpec, folder: Path, backbone: Path) -> tuple[ModelManifest, list[str]]:
    """Land, train and promote; returns the champion and what was told on the way."""
    add_backbone(store, "mobilenetv2-035", backbone.read_bytes(), MOBILENET)
    land(store, spec, folder)
    told: list[str] = []
    done = run_cycle(
        Workspace(
            spec=spec, store=store, run="real", code="0123abc", api_url=None, progress=told.append,
            now=lambda: datetime(2026, 11, 21, tzinfo=UTC),
        )
    )  # fmt: skip
    champion = Registry(store).head(spec.name)
    assert champion is not None and champion.version is not None, (done, told)
    return Registry(store).manifest(spec.name, champion.version), told


def ask(store: Store, spec: ModelSpec, files: list[Path]) -> Asked:
    """Upload each file as it is to the API's handler."""
    call: Callable[..., Any] = caller(create_app(Settings(bucket="bucket"), store))
    positive = spec.target.positive
    answers = []
    for path in files:
        reply = call("POST", f"/models/{spec.name}/predict", path.read_bytes(), headers={"content-type": "image/jpeg"},
                     encode=True)  # fmt: skip
        assert reply.status == 200, (path, reply.body)
        answers.append(json.loads(reply.body))
    return Asked(
        np.array([path.parent.name == positive for path in files], np.int64),
        np.array([answer["prediction"] == positive for answer in answers], np.int64),
        np.array([answer["probabilities"][positive] for answer in answers]),
    )


def pixels_alone(told: list[str]) -> float:
    """What the baseline reached in cross-validation, as the run told it."""
    [line] = [line for line in told if line.startswith("candidate pixels:")]
    return float(line.split()[3])


def test_dandelions_are_known_from_grass_that_was_never_landed(real_data: Path, tmp_path: Path) -> None:
    spec, store = example("dandelion_grass"), memory_store()
    unseen = parted(real_data / "dandelion_grass", spec, tmp_path / "dandelion_grass")
    manifest, told = trained(store, spec, tmp_path / "dandelion_grass", real_data / BACKBONE)
    assert manifest.candidate == "backbone"
    assert manifest.cross_validation.value > pixels_alone(told) + 0.1
    assert manifest.parity.changed_classes == 0 and manifest.parity.max_difference <= 1e-6
    found = ask(store, spec, unseen)
    assert len(unseen) == 56
    assert found.accuracy >= 0.92  # 0.946; some of either class show a bottle, a cat, or nothing but leaves
    assert found.roc_auc >= 0.97


def test_pneumonia_is_known_in_patients_that_were_never_landed(real_data: Path, tmp_path: Path) -> None:
    spec, store = example("pneumonia", "resnet", "pixels"), memory_store()  # a network takes minutes
    unseen = parted(real_data / "chest_xray", spec, tmp_path / "chest_xray")
    manifest, _ = trained(store, spec, tmp_path / "chest_xray", real_data / BACKBONE)
    assert manifest.parity.changed_classes == 0 and manifest.parity.max_difference <= 1e-6
    found = ask(store, spec, unseen)
    assert found.accuracy >= 0.93
    assert found.recall >= 0.94
    assert found.roc_auc >= 0.98
