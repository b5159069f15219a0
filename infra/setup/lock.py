"""Write every lock under requirements/: one version of each package for Python 3.11 to 3.13, with hashes.

What ``serve``, ``score``, ``train`` and ``spark`` share with ``dev`` stands at the same version in all of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UV = ROOT / ".local/uv/bin/uv"
OPTIONS = (
    "--universal", "--python-version", "3.11", "--fork-strategy", "fewest", "--generate-hashes",
    "--no-emit-index-url", "--no-header", "--quiet",
)  # fmt: skip

# EMR brings its own Spark, of another version.
UNEMITTED = ("--no-emit-package", "pyspark", "--no-emit-package", "py4j")

# Of PyTorch each machine takes its own CPU build, which no one hash names.
WITHOUT = ("--excludes", "requirements/vision-without.in")

# Its last release under a free licence, with what was there then: newer packages do not fit it.
ARCHIVED = ("--exclude-newer", "2026-03-05", "--overrides", "requirements/localstack-instead.in")

# lock, what it is made from, and the lock it must agree with
LOCKS = (
    ("uv", ("requirements/uv.in",), None),
    ("build", ("requirements/build.in",), None),
    ("dev", ("pyproject.toml", "--extra", "dev"), None),
    ("train", ("pyproject.toml", "--extra", "train"), "dev"),
    ("serve", ("pyproject.toml", "--extra", "serve"), "dev"),
    ("serve-image", ("pyproject.toml", "--extra", "serve", "requirements/serve-image.in"), "dev"),
    ("score", ("pyproject.toml", "--extra", "score"), "dev"),
    ("monitor", ("pyproject.toml", "--extra", "monitor"), None),
    ("mlflow", ("requirements/mlflow.in",), None),
    ("spark", ("pyproject.toml", "--extra", "spark"), "dev"),
    ("spark-image", ("pyproject.toml", "--extra", "spark", *UNEMITTED), "spark"),
    ("vision", ("pyproject.toml", "--extra", "vision", "requirements/vision.in", *WITHOUT), "dev"),
    ("airflow", ("pyproject.toml", "--extra", "airflow"), None),
    ("ministack", ("requirements/ministack.in",), None),
    ("localstack", ("requirements/localstack.in", *ARCHIVED), None),
    ("images", ("requirements/images.in",), None),
    ("sam", ("requirements/sam.in",), None),
    ("checkov", ("requirements/checkov.in",), None),
    ("schemas", ("requirements/schemas.in",), None),
    ("schemathesis", ("requirements/schemathesis.in",), None),
    ("node", ("requirements/node.in",), None),
    ("rivals", ("requirements/rivals.in",), "dev"),
    ("rivals-mlflow", ("requirements/rivals-mlflow.in",), None),
    ("rivals-bentoml", ("requirements/rivals-bentoml.in",), None),
    ("rivals-litserve", ("requirements/rivals-litserve.in",), None),
)


def main(arguments: list[str]) -> int:
    """Keep the versions that the present locks name, where they still fit; ``--upgrade`` takes the newest."""
    for name, sources, agrees_with in LOCKS:
        out = f"requirements/{name}.txt"
        sys.stdout.write(f"{out}\n")
        sys.stdout.flush()
        constraint = ("--constraint", f"requirements/{agrees_with}.txt") if agrees_with else ()
        subprocess.run(
            [str(UV), "pip", "compile", *OPTIONS, *arguments, *constraint, *sources, "--output-file", out],
            check=True, cwd=ROOT, env=os.environ | {"UV_CUSTOM_COMPILE_COMMAND": "make lock"},
        )  # fmt: skip
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
