"""Exact export: a fitted pipeline becomes one ONNX graph over the float64 matrix, or is refused.

``export_pipeline`` compiles, ``prove`` checks the result against scikit-learn on the holdout and
on boundary rows.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version

from perennial.export.compiler import export_pipeline
from perennial.export.parity import prove

LIBRARIES = ("numpy", "onnx", "onnxruntime", "scikit-learn", "skl2onnx", "xgboost-cpu")


def versions() -> dict[str, str]:
    """Version of each installed library that had a part in an export, by distribution name."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


__all__ = ["export_pipeline", "prove", "versions"]
