"""The model card (Mitchell et al., 2019): one self-contained HTML page that says what a version is and is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from perennial.registry.manifest import Metric, ModelManifest
from perennial.spec import CategoryFeature, DateFeature, Feature, ModelSpec
from perennial.training.card_parts import figure, listed, section, table
from perennial.training.card_pictures import input_table, limits, mistakes_part, purpose
from perennial.training.charts import SVG_TYPE
from perennial.training.evaluation import Chart, Evaluation
from perennial.training.mistakes import Sheet

SHOWN_VALUES = 8
_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
table{border-collapse:collapse;margin:.5rem 0 1.5rem;display:block;overflow-x:auto}
th,td{border:1px solid #8888;padding:.3rem .7rem;text-align:left;vertical-align:top}
td.n{text-align:right;font-variant-numeric:tabular-nums}
figure{margin:1rem 0}img{max-width:100%;height:auto;background:#fff}figcaption{font-size:.9rem}
code{overflow-wrap:anywhere}
"""


def card(
    manifest: ModelManifest,
    evaluation: Evaluation,
    charts: Mapping[str, bytes],
    notes: Sequence[str],
    sheet: Sheet | None = None,
) -> bytes:
    """Write the card of a version: what it predicts, from what, how well, for whom, and where it ends.

    Args:
        manifest: the version's; its files need not be named yet.
        charts: SVG by file name, embedded in the page.
        notes: what training noted of the chosen candidate.
        sheet: the mistakes of a model of pictures.

    Returns:
        UTF-8 HTML that loads nothing and runs nothing; everything that came from data is escaped.
    """
    spec = manifest.spec
    body = [
        f"<h1>{escape(spec.name)}</h1>",
        f"<p>{escape(_purpose(manifest))}</p>",
        section("Metrics on the holdout", _metrics(manifest)),
        section("Charts", "".join(_chart(chart, charts[chart.file]) for chart in evaluation.charts)),
        section("Most confident mistakes", mistakes_part(sheet, evaluation.rows) if sheet else ""),
        section("Groups", _slices(evaluation)),
        section("Pictures" if manifest.pixels else "Features", _input(manifest)),
        section("Training", table((), _training(manifest))),
        section("Limits", listed([*_limits(manifest), *evaluation.notes, *notes])),
    ]
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
        'img-src data:">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>Model card: {escape(spec.name)}</title><style>{_STYLE}</style></head>"
        f"<body><main>{''.join(part for part in body if part)}</main></body></html>\n"
    )
    return page.encode()


def _purpose(manifest: ModelManifest) -> str:
    spec = manifest.spec
    what = {
        "binary": f"whether {spec.target.column} is {manifest.classes[-1] if manifest.classes else ''}",
        "multiclass": f"which of {len(manifest.classes)} classes {spec.target.column} is",
        "regression": f"the number {spec.target.column}",
    }[spec.task]
    seen = purpose(manifest.pixels) if manifest.pixels else f"from {len(spec.features)} features"
    return f"Predicts {what} {seen}, by {manifest.estimator}."


def _input(manifest: ModelManifest) -> str:
    if manifest.pixels is not None:
        return input_table(manifest, manifest.pixels)
    return table(("Feature", "Type", "Answers"), [_feature(*item) for item in manifest.spec.features.items()])


def _metrics(manifest: ModelManifest) -> str:
    rows = [
        (f"{name} (decides)" if name == manifest.spec.metric else name, _number(metric.value), _interval(metric))
        for name, metric in manifest.metrics.items()
    ]
    cross = manifest.cross_validation
    rows.append((f"{manifest.spec.metric} in cross-validation", _number(cross.value), _interval(cross)))
    what = "pictures" if manifest.pixels else "rows"
    caption = f"<p>{manifest.holdout_rows:,} {what} that no training has seen; 95 % intervals by bootstrap.</p>"
    return caption + table(("Metric", "Value", "95 % interval"), rows)


def _slices(evaluation: Evaluation) -> str:
    rows = [
        (column, group.group, f"{group.rows:,}", _number(group.metrics.get(evaluation.metric)))
        for column, groups in evaluation.slices.items()
        for group in groups
    ]
    return table(("Feature", "Group", "Rows", evaluation.metric), rows) if rows else ""


def _feature(name: str, feature: Feature) -> tuple[str, str, str]:
    optional = "; may be missing" if feature.missing else ""
    match feature:
        case CategoryFeature():
            shown = ", ".join(feature.values[:SHOWN_VALUES])
            more = f" and {len(feature.values) - SHOWN_VALUES} more" if len(feature.values) > SHOWN_VALUES else ""
            others = "; others are scored as unknown" if feature.unknown == "encode" else ""
            return name, "category", f"{shown}{more}{others}{optional}"
        case DateFeature():
            return name, "date", f"ISO 8601{optional}"
        case _:
            low = "" if feature.min is None else f"from {feature.min:g} "
            high = "" if feature.max is None else f"to {feature.max:g}"
            return name, "whole number" if feature.integer else "number", f"{low}{high}".strip() + optional


def _training(manifest: ModelManifest) -> list[tuple[str, str]]:
    return [
        ("Candidate", manifest.candidate),
        ("Estimator", manifest.estimator),
        ("Parameters", ", ".join(f"{key}={value!r}" for key, value in manifest.params.items()) or "defaults"),
        ("Dataset version", manifest.dataset),
        ("Run", manifest.run),
        ("Code", manifest.code),
        ("Seed", str(manifest.seed)),
        ("Libraries", ", ".join(f"{name} {version}" for name, version in manifest.libraries.items())),
    ]


def _limits(manifest: ModelManifest) -> list[str]:
    parity, what = manifest.parity, "pictures" if manifest.pixels else "rows"
    trainer = "PyTorch" if manifest.estimator.startswith("torch.") else "scikit-learn"
    measured = "Metrics show" if manifest.pixels else "Importance and metrics show"
    return [
        f"The served graph differs from {trainer} by at most {parity.max_difference:.2g} and changes "
        f"{parity.changed_classes} answers, over {parity.holdout_rows:,} holdout and {parity.boundary_rows:,} "
        f"boundary {'cases' if manifest.pixels else what}.",
        f"The metrics hold for {what} like those of the holdout{_when(manifest.spec)}; they say nothing of other "
        "populations.",
        f"{measured} what goes together in the data, not what causes what.",
        *(limits() if manifest.pixels else []),
    ]


def _when(spec: ModelSpec) -> str:
    return ", the newest by time" if spec.time is not None else ""


def _chart(chart: Chart, svg: bytes) -> str:
    return figure(SVG_TYPE, svg, chart.title, chart.summary)


def _number(value: float | None) -> str:
    if value is None:
        return "undefined"
    if value and abs(value) < 0.001:
        return f"{value:.3g}"
    return f"{value:,.4f}" if abs(value) < 1000 else f"{value:,.1f}"


def _interval(metric: Metric) -> str:
    return "" if metric.low is None else f"{_number(metric.low)} to {_number(metric.high)}"
