"""What goes into the package of a function, and what must not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

# Heavy, or able to unpickle: no function runs them.
_NEVER = frozenset(
    {"airflow", "cloudpickle", "dill", "joblib", "matplotlib", "pandas", "polars", "pyspark", "rich", "scipy",
     "skl2onnx", "sklearn", "skops", "typer", "xgboost", "yaml"}
)  # fmt: skip
_UNPICKLE = frozenset({"pickle", "marshal", "shelve"})

# Parts of packages that the whole work of a function never touches, as tests/infra/test_package_used.py shows: what is
# for tests and tools, and whole features. Single modules of what is used stay, whatever a day's work may have touched.
# ONNX Runtime's own shared library is a second copy for C++ programs: its Python module is linked statically. Of
# Pillow's libraries those stay that JPEG, PNG, WebP, GIF, BMP and TIFF need, or its core links.
_UNUSED = (
    "bin",
    "**/tests",
    "**/*.pyi",
    "**/*.h",
    "**/*.a",
    "aws_lambda_powertools/event_handler",
    "ecdsa/test_*.py",
    "flatbuffers",  # as Protocol Buffers below: for ONNX Runtime's tools
    "google",
    *(f"numpy/{part}" for part in ("distutils", "f2py", "fft", "polynomial", "random", "testing")),
    "numpy/_core/_*_tests.*.so",
    "numpy/_core/_simd.*.so",  # what tests of the real loops call
    "packaging",
    *(f"PIL/_{name}*" for name in ("avif", "imagingcms", "imagingft", "imagingmath", "imagingmorph", "imagingtk")),
    *(f"pillow.libs/lib{name}*" for name in ("avif", "brotli", "freetype", "harfbuzz", "lcms2", "png16")),
    "pydantic/mypy.py",
    "pydantic/v1",
    "onnxruntime/capi/libonnxruntime.so.*",
    "onnxruntime/ThirdPartyNotices.txt",
    "onnxruntime/backend",
    "onnxruntime/datasets",
    "onnxruntime/quantization",
    "onnxruntime/tools",
    "onnxruntime/transformers",
)
_UTILITIES = frozenset({"data_masking", "feature_flags", "idempotency", "kafka", "parameters", "parser", "validation"})
# The API logs through powertools and does nothing else with it.
_UNUSED_IN_API = (
    *(f"aws_lambda_powertools/utilities/{part}" for part in _UTILITIES | {"batch", "data_classes"}),
    "numpy/ma",
)
# Of Arrow, tables, CSV, JSON and Parquet are used, though its core links some more; and of the copies of a library only
# the one that loaders ask for.
_UNUSED_IN_SCORING = (
    "pyarrow/include",
    "pyarrow/includes",
    "pyarrow/src",
    "pyarrow/**/*.pxd",
    "pyarrow/**/*.pxi",
    "pyarrow/**/*.pyx",
    "pyarrow/*.cmake",
    "pyarrow/benchmark.py",
    "pyarrow/conftest.py",
    "pyarrow/libarrow_flight*",
    "pyarrow/libarrow_python_flight*",
    "pyarrow/libarrow_s3*",
    *(f"pyarrow/{part}{name}*" for name in ("flight", "substrait", "dataset", "orc", "gandiva", "cuda")
      for part in ("_", "")),
    *(f"pyarrow/_{name}*.so" for name in ("azurefs", "gcsfs", "hdfs", "s3fs", "feather", "pyarrow_cpp_tests")),
    "pyarrow/_parquet_encryption*.so",
    "pyarrow/libarrow_python*.so",
    "pyarrow/libarrow_python*.so.*.*.*",
    *(f"aws_lambda_powertools/utilities/{part}" for part in _UTILITIES),
    "boto3/data",
    "boto3/examples",
)  # fmt: skip
_TRIED = (  # is imported where it is there, and done without where it is not
    "PIL/_avif*",
    "pillow.libs/libavif*",
    *(f"pyarrow/_{name}*.so" for name in ("azurefs", "gcsfs", "hdfs", "s3fs")),
    "pyarrow/libarrow_s3*",
)


@dataclass(frozen=True)
class Recipe:
    """How the package of a function, or of several, is made.

    ``lock`` pins the packages in it, ``sources`` are those of ours; ``handlers`` and ``modules`` have to import with
    nothing else. ``never`` names what may not be in it, ``late`` what only a call may load. ``unused`` are patterns of
    files that go, ``tried`` those of them that a library imports where they are there; ``only`` says of a folder what
    in it stays, and ``megabytes`` bounds what is left for Lambda. What is ``unexplained`` has no docstrings in its
    bytecode but our own: nothing in it may read them.
    """

    name: str
    lock: Path
    sources: tuple[str, ...]
    handlers: tuple[str, ...]
    modules: tuple[str, ...]
    never: frozenset[str]
    unused: tuple[str, ...]
    megabytes: float
    tried: tuple[str, ...] = _TRIED
    late: frozenset[str] = frozenset()
    unexplained: bool = False
    only: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def never_imported(self) -> frozenset[str]:
        """What our own code in it may not even name."""
        return self.never | _UNPICKLE


_CORE = (
    "src/perennial/__init__.py",
    "src/perennial/canonical.py",
    "src/perennial/errors.py",
    "src/perennial/images",
    "src/perennial/keys",
    "src/perennial/records.py",
    "src/perennial/registry",
    "src/perennial/serving",
    "src/perennial/schedule.py",
    "src/perennial/settings.py",
    "src/perennial/spec.py",
    "src/perennial/spec_candidates.py",
    "src/perennial/spec_checks.py",
    "src/perennial/spec_features.py",
    "src/perennial/spec_images.py",
    "src/perennial/spec_job.py",
    "src/perennial/spec_policy.py",
    "src/perennial/store.py",
    "src/perennial/store_faults.py",
    "src/perennial/store_objects.py",
    "src/perennial/store_opening.py",
    "src/perennial/trust.py",
)

API = Recipe(
    name="api",
    lock=Path("requirements/serve.txt"),
    sources=("lambdas/api", "lambdas/capture", *_CORE),
    handlers=("lambdas.api.handler", "lambdas.capture.handler"),
    modules=(
        "numpy", "onnxruntime", "obstore", "perennial.serving.load", "perennial.serving.predictor",
        "perennial.serving.refresh", "perennial.store", "lambdas.api.pictures", "perennial.serving.picture_forms",
        "perennial.images.record", "perennial.images.pixels", "PIL.TiffImagePlugin", "PIL.WebPImagePlugin",
    ),
    never=_NEVER | {"boto3", "botocore", "pyarrow"},
    unused=_UNUSED + _UNUSED_IN_API,
    megabytes=120.5,  # 115 MiB
    unexplained=True,  # numpy.ma, which reads docstrings, is not in it
)  # fmt: skip

SCORE = Recipe(
    name="score",
    lock=Path("requirements/score.txt"),
    sources=(
        "lambdas/score",
        *_CORE,
        "src/perennial/datasets",
        "src/perennial/scoring",
    ),
    handlers=("lambdas.score.handler",),
    modules=(
        "pyarrow.csv", "pyarrow.json", "pyarrow.parquet", "pyarrow.compute", "perennial.scoring.batch.multipart",
        "perennial.images.record", "perennial.images.pixels", "PIL.TiffImagePlugin", "PIL.WebPImagePlugin",
    ),
    never=_NEVER - {"pyspark"},
    unused=_UNUSED + _UNUSED_IN_SCORING,
    megabytes=240.0,
    late=frozenset({"boto3"}),
    only={  # it knows four hundred services, and is asked for one
        "botocore/data": frozenset(
            {"_retry.json", "endpoints.json", "partitions.json", "s3", "sdk-default-configuration.json"}
        )
    },
)  # fmt: skip

RECIPES = (API, SCORE)
