"""Versions of one model that each have an answer of their own to the same rows, known by numpy beforehand."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np

from perennial.registry.manifest import MODEL_FILE, ModelManifest
from tests.support.models import IRIS_RECORD, MEASURES, Built, answer, build, make_spec

MODEL = "iris"
CLASSES = ("setosa", "versicolor", "virginica")
EXACTLY = 1e-9


@dataclass(frozen=True)
class Version:
    """One version, and rows with its answers. No other version has an answer near one of these."""

    built: Built
    dataset: str
    record: ClassVar[dict[str, float]] = IRIS_RECORD

    @property
    def onnx(self) -> bytes:
        return self.built.onnx

    @cached_property
    def manifest(self) -> ModelManifest:
        return self.built.manifest.model_copy(update={"dataset": self.dataset})

    @cached_property
    def version(self) -> str:
        return self.manifest.version

    def expected(self, records: list[dict[str, float]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Its probabilities [rows, classes] of some records."""
        return answer(self.built, np.array([[record[name] for name in MEASURES] for record in records]))

    def answers(self, told: Any, records: list[dict[str, float]] | None = None) -> bool:
        """Whether a body of ``/predict`` is this version's through and through: its name, its files, its numbers."""
        lines = told["predictions"] if records is not None else [told]
        model = told["model"]
        if (model["version"], model["digest"], model["dataset"]) != (
            self.version, self.manifest.files[MODEL_FILE].digest, self.dataset,
        ):  # fmt: skip
            return False
        wanted = self.expected(records if records is not None else [self.record])
        found = np.array([[line["probabilities"][name] for name in CLASSES] for line in lines])
        named = [line["prediction"] for line in lines] == [CLASSES[place] for place in wanted.argmax(axis=1)]
        return found.shape == wanted.shape and bool(np.abs(found - wanted).max() < EXACTLY) and named


def numbered(number: int) -> Version:
    """Another number, another version, trained on another dataset."""
    return Version(build(make_spec(MODEL), seed=number), hashlib.sha256(b"%d" % number).hexdigest())


OLD, NEW, FURTHER = numbered(1), numbered(2), numbered(3)
