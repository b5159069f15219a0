"""Exact export: a fitted pipeline becomes one ONNX graph over the float64 matrix, or is refused.

``export_pipeline`` compiles, ``prove`` checks the result against scikit-learn on the holdout and
on boundary rows.
"""

from __future__ import annotations

from perennial.export.compiler import export_pipeline
from perennial.export.parity import prove

__all__ = ["export_pipeline", "prove"]
