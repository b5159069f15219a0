"""Which versions a result is of: ours and the rivals', each asked of its own environment."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import distributions
from pathlib import Path

ENVIRONMENTS = Path(__file__).parents[1] / ".local/envs"
SHOWN = {
    "here": ("fastapi", "mangum", "numpy", "onnxruntime", "obstore", "pyarrow", "pydantic", "scikit-learn", "uvicorn"),
    "rivals": (
        "bentoml",
        "boto3",
        "fastapi",
        "litserve",
        "mlflow",
        "onnxruntime",
        "pandas",
        "polars",
        "scikit-learn",
        "uvicorn",
    ),
}


def versions() -> list[str]:
    """Such as `rivals: pandas 3.0.6`; every environment of rivals that is there."""
    found = list(_named("ours", None, SHOWN["here"]))
    for environment in sorted(ENVIRONMENTS.glob("rivals*")):
        packages = [str(path) for path in environment.glob("lib/python3*/site-packages")]
        found += _named(environment.name, packages, SHOWN["rivals"])
    return found


def _named(owner: str, path: list[str] | None, names: Sequence[str]) -> Iterator[str]:
    installed = distributions() if path is None else distributions(path=path)
    shown = {one.metadata["Name"].lower(): one.version for one in installed}
    return (f"{owner}: {name} {shown[name]}" for name in names if name in shown)
