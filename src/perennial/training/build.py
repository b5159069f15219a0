"""A trained candidate becomes a version: evaluated once, described, and named by its content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from perennial.datasets.load import Rows
from perennial.registry.gate import ROWS
from perennial.registry.manifest import MODEL_FILE, FileRef, ModelManifest
from perennial.serving.predictor import Predictor
from perennial.spec import ModelSpec
from perennial.training.card import card
from perennial.training.charts import SVG_TYPE, draw
from perennial.training.evaluate import evaluate
from perennial.training.evaluation import CARD_FILE, EVALUATION_FILE, SHEET_FILE, Evaluation
from perennial.training.mistakes import SHEET_TYPE, sheet
from perennial.training.outcome import ONNX_TYPE, CandidateReport, TrainedCandidate

LIBRARIES = (
    "perennial",
    "numpy",
    "scipy",
    "scikit-learn",
    "xgboost-cpu",
    "onnx",
    "skl2onnx",
    "onnxruntime",
    "pyarrow",
    "pillow",
    "matplotlib",
)
_TYPES = {".onnx": ONNX_TYPE, ".json": "application/json", ".html": "text/html", ".svg": SVG_TYPE, ".jpg": SHEET_TYPE}


@dataclass(frozen=True)
class Version:
    """All that is published: the manifest, and every file it names."""

    manifest: ModelManifest
    files: Mapping[str, bytes]
    evaluation: Evaluation


def build_version(
    *,
    spec: ModelSpec,
    candidate: TrainedCandidate,
    holdout: Rows,
    dataset: str,
    classes: tuple[str, ...],
    code: str,
    run: str,
    progress: Callable[[str], None],
) -> Version:
    """Evaluate the exported model once on the holdout, by the predictor that will serve it, and describe it.

    Args:
        holdout: the rows no training has seen.
        dataset: id of the dataset version.
        classes: labels by class index; empty for a regression.
        code: commit of the code that trained it.
        run: id of the run.

    Raises:
        TrainingError: the spec's metric is undefined on the holdout, or an answer is not finite.
    """
    report = candidate.report
    draft = _draft(spec, report, holdout, dataset, classes, code, run)
    progress(f"{report.name}: evaluating on {len(holdout.y):,} holdout rows")
    evaluation = evaluate(Predictor(draft, candidate.onnx), holdout, spec, classes, report.seed)
    manifest = draft.model_copy(update={"metrics": evaluation.metrics, "slices": _slices(evaluation)})
    charts = {chart.file: draw(chart) for chart in evaluation.charts}
    mistaken = sheet(evaluation.mistakes, holdout, classes) if evaluation.mistakes is not None else None
    files = {
        MODEL_FILE: candidate.onnx,
        EVALUATION_FILE: evaluation.to_bytes(),
        CARD_FILE: card(manifest, evaluation, charts, report.notes, mistaken),
        **charts,
    }
    if mistaken is not None and mistaken.jpeg is not None:
        files[SHEET_FILE] = mistaken.jpeg
    named = {name: file_ref(name, data) for name, data in files.items()}
    return Version(manifest.model_copy(update={"files": named}), files, evaluation)


def file_ref(name: str, data: bytes) -> FileRef:
    """What a manifest says of a file."""
    kind = _TYPES[name[name.rindex(".") :]]
    return FileRef(digest=hashlib.sha256(data).hexdigest(), size=len(data), media_type=kind)


def libraries() -> dict[str, str]:
    """Version of each library that had a part in a model, by distribution name."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # XGBoost, say, may be installed under another name
            continue
    return found


def _draft(
    spec: ModelSpec,
    report: CandidateReport,
    holdout: Rows,
    dataset: str,
    classes: tuple[str, ...],
    code: str,
    run: str,
) -> ModelManifest:
    """The manifest before the evaluation: enough for the predictor."""
    return ModelManifest(
        spec=spec,
        spec_digest=spec.digest(),
        classes=classes,
        candidate=report.name,
        estimator=report.estimator,
        params=report.params,
        cross_validation=report.cross_validation,
        metrics={},
        holdout_rows=len(holdout.y),
        parity=report.parity,
        dataset=dataset,
        code=code,
        run=run,
        seed=report.seed,
        libraries=libraries(),
        pixels=report.pixels,
        files={},
    )


def _slices(evaluation: Evaluation) -> dict[str, dict[str, dict[str, float]]]:
    return {
        column: {group.group: {ROWS: float(group.rows), **group.metrics} for group in groups}
        for column, groups in evaluation.slices.items()
    }
