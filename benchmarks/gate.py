"""The regression gate: ratios measured now, beside those that `RESULTS.json` recorded.

`python -m benchmarks.gate` measures in short form. A ratio that fell back by more than its tolerance is measured once
more, alone, because a shared machine disturbs; if it falls back again, the gate fails and names it. It fails too where
a ratio could not be compared. What takes too long is no part of it (`Bound.gated`).
"""

from __future__ import annotations

import math
import sys
import tempfile
from collections.abc import Container, Iterable, Mapping
from pathlib import Path

from benchmarks.figures import BOUNDS, Bound, Figure, Key
from benchmarks.parts import GATED, run
from benchmarks.results import load


def main() -> int:
    recorded = {figure.key: figure.value for figure in load().figures}
    worse, measured = list[str](), set[Key]()
    with tempfile.TemporaryDirectory() as folder:
        for part in GATED:
            figures = run(part, Path(folder), short=True)[0]
            measured |= {figure.key for figure in figures}
            for one in figures:
                print(f"{one.key}: {one.value:.3g}, recorded {recorded.get(one.key, math.nan):.3g}")
            if fallen := regressions(figures, recorded):
                again = regressions(run(part, Path(folder), short=True)[0], recorded)
                worse += [text for key, text in again.items() if key in fallen]
    worse += missing(recorded, measured)
    for text in worse:
        print(text, file=sys.stderr)
    print(f"{len(worse)} of the ratios fell back, or could not be compared" if worse else "no ratio fell back")
    return 1 if worse else 0


def regressions(figures: Iterable[Figure], recorded: Mapping[Key, float]) -> dict[Key, str]:
    """The ratios that are worse than recorded beyond their tolerance, each with a sentence."""
    return {
        figure.key: (
            f"{figure.key}: {figure.value:.3g}, recorded {recorded[figure.key]:.3g}, {_allowed(figure.bound)}; "
            f"`{figure.command}` measures it ({figure.sides})"
        )
        for figure in figures
        if figure.key in recorded and figure.bound.fell_back(figure.value, recorded[figure.key])
    }


def missing(recorded: Container[Key], measured: Container[Key]) -> list[str]:
    """The ratios that are to be compared and could not be, each with a sentence."""
    gated = [key for key, bound in BOUNDS.items() if bound.gated]
    found = [f"{key}: nothing is recorded; `make bench` does it" for key in gated if key not in recorded]
    return found + [f"{key}: was not measured" for key in gated if key not in measured]


def _allowed(bound: Bound) -> str:
    return f"which must be kept: {bound.must:g}" if bound.exact else f"tolerance a factor of {bound.tolerance:g}"


if __name__ == "__main__":
    sys.exit(main())
