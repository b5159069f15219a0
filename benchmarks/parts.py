"""The benchmarks by name, each run in a process of its own, so that none inherits another's memory or imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.figures import Beside, Figure, read

BOUND = ("serving", "http", "batch", "cycle", "promotion", "registry_reads")
"""Those whose ratios have bounds."""
OTHERS = ("signing", "images", "batch_function", "spark", "capture", "monitoring", "traffic")
"""Those that print figures of the README which have none."""
GATED = ("serving", "http", "batch", "cycle", "promotion", "registry_reads")
"""Those that the regression gate runs in short form."""


def run(part: str, folder: Path, short: bool = False) -> tuple[list[Figure], list[Beside]]:
    """Run one benchmark that has bounds, and read what it left.

    Raises:
        subprocess.CalledProcessError: it failed; what it printed was shown.
    """
    path = folder / f"{part}.json"
    options = ["--figures", str(path), *(["--short"] if short else [])]
    subprocess.run([sys.executable, "-m", f"benchmarks.{part}", *options], check=True)
    return read(path)
