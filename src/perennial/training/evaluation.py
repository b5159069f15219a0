"""What an evaluation on the holdout holds: metrics, slices, importance, and the data behind every chart."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from perennial.registry.manifest import Metric
from perennial.spec import Task, canonical

EVALUATION_FILE, CARD_FILE, SHEET_FILE = "evaluation.json", "card.html", "mistakes.jpg"
"""Files of a version; the sheet of mistakes is one of models of pictures."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Series(_Frozen):
    """Points of one line or cloud. A ``reference`` is what the others are compared with, such as chance."""

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    style: Literal["line", "points", "marked", "reference"] = "line"


class _Chart(_Frozen):
    """``name`` is the stem of the SVG's file name; ``summary`` says in a sentence what the chart shows."""

    name: str
    title: str
    summary: str
    x_label: str
    y_label: str

    @property
    def file(self) -> str:
        return f"{self.name}.svg"


class XYChart(_Chart):
    """Lines and points. ``unit`` pins both axes to 0..1, ``square`` gives them one scale."""

    kind: Literal["xy"] = "xy"
    series: tuple[Series, ...]
    unit: bool = False
    square: bool = False


class BarChart(_Chart):
    """One horizontal bar a label, ``errors`` to each side."""

    kind: Literal["bars"] = "bars"
    labels: tuple[str, ...]
    values: tuple[float, ...]
    errors: tuple[float, ...]


class MatrixChart(_Chart):
    """Counts: ``rows`` of true classes by columns of predicted ones, both in the order of ``labels``."""

    kind: Literal["matrix"] = "matrix"
    labels: tuple[str, ...]
    rows: tuple[tuple[int, ...], ...]


Chart = Annotated[XYChart | BarChart | MatrixChart, Field(discriminator="kind")]


class Importance(_Frozen):
    """How much worse the metric gets when a feature's values are shuffled between rows.

    ``mean`` and ``deviation`` over the repeats; positive means that the model relies on the feature.
    """

    feature: str
    mean: float
    deviation: float


class Slice(_Frozen):
    """The metrics of the holdout rows of one group. What is undefined on them is left out."""

    group: str
    rows: int
    metrics: dict[str, float]


class Mistake(_Frozen):
    """A wrong answer: the ``row`` of the holdout, indices of classes, and the ``probability`` of the answer."""

    row: int
    truth: int
    answer: int
    probability: float


class Mistakes(_Frozen):
    """How many answers were wrong, and the surest of them, the surest first."""

    total: int
    surest: tuple[Mistake, ...]


class Evaluation(_Frozen):
    """One evaluation of one model on one holdout. ``metric`` is the spec's, by which candidates are compared.

    ``mistakes`` are those of a model of pictures, None for any other.
    """

    format: Literal[1] = 1
    task: Task
    metric: str
    classes: tuple[str, ...]
    rows: int
    metrics: dict[str, Metric]
    slices: dict[str, tuple[Slice, ...]]
    importance: tuple[Importance, ...]
    importance_rows: int
    charts: tuple[Chart, ...]
    mistakes: Mistakes | None = None
    notes: tuple[str, ...] = ()

    def to_bytes(self) -> bytes:
        """Canonical JSON: the file ``evaluation.json`` of a version."""
        return canonical(self.model_dump(mode="json"))
