"""Perennial keeps machine-learning models in production fresh on AWS."""

import os

# onnxruntime reads this once, when it is loaded; without it, it sends usage data to its makers.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
