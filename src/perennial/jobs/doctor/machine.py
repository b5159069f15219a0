"""This machine: its Python, the libraries, and room on the disk."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from perennial.jobs.doctor.finding import Finding

LIBRARIES = ("pydantic", "obstore", "numpy", "onnxruntime", "scikit-learn", "xgboost-cpu", "pyarrow", "onnx")
LEAST_FREE_BYTES = 2_000_000_000


def machine(folder: Path = Path()) -> Iterator[Finding]:
    """``folder`` is where the work is done."""
    running = ".".join(map(str, sys.version_info[:3]))
    yield Finding(
        what="python", ok=(3, 11) <= sys.version_info < (3, 14), found=running, remedy="Use Python 3.11, 3.12 or 3.13."
    )
    for name in LIBRARIES:
        try:
            yield Finding(what=name, ok=True, found=version(name))
        except PackageNotFoundError:
            yield Finding(what=name, ok=False, found="not installed", remedy="Run `make setup`.")
    free = shutil.disk_usage(folder).free
    yield Finding(
        what="disk", ok=free > LEAST_FREE_BYTES, found=f"{free / 1e9:.1f} GB free", remedy="Free 2 GB of disk space."
    )
