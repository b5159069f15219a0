"""Charts as SVG: the same bytes for the same data, text that stays text, colours everyone can tell apart."""

from __future__ import annotations

import io
import warnings
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from perennial.training.evaluation import BarChart, Chart, MatrixChart, Series, XYChart

SVG_TYPE = "image/svg+xml"
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#8C6D31", "#000000")
"""Okabe and Ito (2008), its yellow replaced by a brown that stands out on white."""
DASHES = ("-", "--", "-.", ":")
INK, GRID, PAPER = "#1a1a1a", "#d9d9d9", "#ffffff"
LABEL_LENGTH = 32
_STYLE: dict[Any, Any] = {
    "svg.hashsalt": "perennial",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "font.family": ["DejaVu Sans"],
    "font.size": 11,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "figure.facecolor": PAPER,
    "axes.facecolor": PAPER,
}


def draw(chart: Chart) -> bytes:
    """One chart as a self-contained SVG with a title and an opaque background, fit for dark pages too."""
    out = io.BytesIO()
    with rc_context(_STYLE), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing", category=UserWarning)  # text is not drawn by us
        figure = Figure(figsize=_size(chart), layout=ConstrainedLayoutEngine(w_pad=0.12, h_pad=0.12))
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.set_title(_text(chart.title, 80), fontweight="bold")
        axes.set_xlabel(_text(chart.x_label, 60))
        axes.set_ylabel(_text(chart.y_label, 60))
        match chart:
            case XYChart():
                _draw_xy(axes, chart)
            case BarChart():
                _draw_bars(axes, chart)
            case MatrixChart():
                _draw_matrix(axes, chart)
        metadata = {"Title": _text(f"{chart.title}. {chart.summary}", 400), "Date": None, "Creator": None}
        figure.savefig(out, format="svg", metadata=metadata)
    return out.getvalue()


def _size(chart: Chart) -> tuple[float, float]:
    """Inches."""
    match chart:
        case BarChart():
            return 7.0, 1.6 + 0.3 * max(len(chart.labels), 3)
        case MatrixChart():
            side = min(3.2 + 0.42 * len(chart.labels), 12.0)
            return side + 0.8, side
        case _:
            return (6.0, 5.4) if chart.square else (7.0, 4.6)


def _draw_xy(axes: Axes, chart: XYChart) -> None:
    axes.grid(True, color=GRID, linewidth=0.8)
    places = iter(range(len(chart.series)))
    for series in chart.series:
        if series.style == "reference":
            axes.plot(
                series.x, series.y, color="#767676", linestyle=(0, (4, 3)), linewidth=1.3, label=_text(series.name)
            )
        else:
            _draw_series(axes, series, next(places))
    if chart.unit:
        axes.set_xlim(-0.02, 1.02)
        axes.set_ylim(-0.02, 1.02)
    if chart.square:
        axes.set_aspect("equal", adjustable="box" if chart.unit else "datalim")
    axes.legend(frameon=True, facecolor=PAPER, edgecolor=GRID, fontsize=9, loc="best")


def _draw_series(axes: Axes, series: Series, place: int) -> None:
    color, label = PALETTE[place % len(PALETTE)], _text(series.name)
    if series.style == "points":
        axes.scatter(series.x, series.y, s=14, color=color, alpha=0.5, linewidths=0, label=label)
        return
    marker = "o" if series.style == "marked" else None
    dash = DASHES[place // 2 % len(DASHES)]
    axes.plot(series.x, series.y, color=color, linestyle=dash, linewidth=2, marker=marker, label=label)


def _draw_bars(axes: Axes, chart: BarChart) -> None:
    axes.grid(True, axis="x", color=GRID, linewidth=0.8)
    places = range(len(chart.labels))
    axes.barh(places, chart.values, xerr=chart.errors, color=PALETTE[0], ecolor=INK, capsize=3, height=0.7)
    axes.set_yticks(list(places), [_text(label) for label in chart.labels])
    axes.axvline(0, color=INK, linewidth=0.8)
    axes.invert_yaxis()


def _draw_matrix(axes: Axes, chart: MatrixChart) -> None:
    """Coloured by the share within each true class, so that rare classes show; the counts stand in the cells."""
    shares = [[cell / max(sum(row), 1) for cell in row] for row in chart.rows]
    axes.pcolormesh(shares, cmap="Blues", vmin=0, vmax=1, edgecolors=PAPER, linewidth=1)
    axes.invert_yaxis()
    axes.set_aspect("equal")
    ticks = [place + 0.5 for place in range(len(chart.labels))]
    names = [_text(label, 18) for label in chart.labels]
    slanted = max(map(len, names)) > 4
    axes.set_xticks(ticks, names, rotation=45 if slanted else 0, ha="right" if slanted else "center")
    axes.set_yticks(ticks, names)
    for i, row in enumerate(chart.rows):
        for j, count in enumerate(row):
            color = PAPER if shares[i][j] > 0.5 else INK
            axes.text(j + 0.5, i + 0.5, f"{count:,}", ha="center", va="center", color=color, fontsize=9)


def _text(text: str, length: int = LABEL_LENGTH) -> str:
    """Names come from data: control characters would break the SVG, very long ones the layout."""
    printable = "".join(char if char.isprintable() else " " for char in text)
    return printable if len(printable) <= length else f"{printable[: length - 1]}…"
