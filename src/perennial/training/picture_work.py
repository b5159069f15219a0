"""All that one candidate of a model of pictures is trained from."""

from __future__ import annotations

from dataclasses import dataclass

from perennial.datasets.pictures import Pictures
from perennial.spec import Candidate, Frame, ModelSpec
from perennial.store import Store
from perennial.training.answers import Ints
from perennial.training.folds import Folds
from perennial.training.search import Progress


@dataclass(frozen=True)
class PictureWork:
    """One candidate, named ``name``, and its pictures.

    ``pictures`` are those of the training part and ``y`` [n] their class indices; ``holdout`` are those on which the
    export must match: their labels are never seen. ``folds`` keep pictures that belong together on one side.
    ``store`` holds frozen extractors and weights; ``progress`` is told what is going on, a line at a time.
    """

    spec: ModelSpec
    name: str
    candidate: Candidate
    pictures: Pictures
    y: Ints
    holdout: Pictures
    classes: tuple[str, ...]
    folds: Folds
    seed: int
    store: Store
    progress: Progress

    @property
    def frame(self) -> Frame:
        """The frame in which the candidate takes pictures, unless a backbone has its own size."""
        assert self.spec.image is not None  # a model of pictures
        size = self.candidate.size or self.spec.image.size
        return self.spec.image.frame.model_copy(update={"size": size})

    def say(self, text: str) -> None:
        """Pass on what is going on, under the candidate's name."""
        self.progress(f"{self.name}: {text}")
