"""What the benchmark of pictures measures: photographs, a backbone, and a model over it in a bucket, packaged."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import boto3
import numpy as np
from PIL import Image

from perennial.datasets.landing import land
from perennial.datasets.pictures import Pictures, put_picture
from perennial.deploy.package import Package, build_package
from perennial.deploy.recipes import API
from perennial.export.backbones import add_backbone
from perennial.export.preparation import Preparation
from perennial.jobs.cycle import run_cycle
from perennial.jobs.workspace import Workspace
from perennial.settings import Settings
from perennial.spec import ModelSpec
from perennial.store import Store
from perennial.store_opening import open_store

ROOT = Path(__file__).parents[1]
BUCKET = "benchmark"
NAME = "mobilenetv2-035"
FILE = "backbone/mobilenetv2_035_features.onnx"
PREPARATION = Preparation(layout="NHWC", size=224, range=(-1.0, 1.0))
WAYS = {"whole": False, "seven views": True}
"""How the backbone looks at a picture: at the whole, or by `tiles: true` in seven views."""


def spec_of(way: str) -> ModelSpec:
    """The model that looks at photographs in one of the ``WAYS``."""
    candidate = {"backbone": NAME, "estimator": "sklearn.linear_model.LogisticRegression", "tiles": WAYS[way]}
    return ModelSpec.model_validate(
        {
            "name": f"photographs-{'tiles' if WAYS[way] else 'whole'}",
            "task": "binary",
            "input": "image",
            "target": {"column": "label", "positive": "warm", "classes": ["cold", "warm"]},
            "candidates": {"backbone": candidate},
        }
    )


@dataclass(frozen=True)
class World:
    """A champion for each of the ``WAYS`` in the bucket behind ``store``, and the package that will serve them."""

    store: Store
    package: Package


def backbone_file() -> Path | None:
    """The extractor among the real data sets, None where they are not here."""
    named = os.environ.get("PERENNIAL_DATA")
    folder = Path(named) if named else ROOT / "shared/data"
    return folder / FILE if (folder / FILE).is_file() else None


def photograph(seed: int, kind: str, size: tuple[int, int] = (640, 480)) -> bytes:
    """A JPEG like no other: patches, edges and the noise of a camera, in warm or cold colors."""
    rng = np.random.default_rng([seed, len(kind), kind == "warm"])
    coarse = rng.integers(0, 170, (12, 16, 3))
    coarse[:, :, 0 if kind == "warm" else 2] += 80
    smooth = np.asarray(Image.fromarray(coarse.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC), np.int16)
    noisy = np.clip(smooth + rng.normal(0, 8, smooth.shape), 0, 255).astype(np.uint8)
    sink = io.BytesIO()
    Image.fromarray(noisy).save(sink, "JPEG", quality=85)
    return sink.getvalue()


def photographs(count: int) -> Iterator[tuple[str, bytes]]:
    """Half of each kind."""
    for place in range(count):
        kind = ("cold", "warm")[place % 2]
        yield kind, photograph(place, kind)


def prepare(folder: Path, endpoint: str, backbone: Path, pictures: int = 120) -> World:
    """Land photographs, train, register and package."""
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket=BUCKET)
    store = open_store(Settings(bucket=BUCKET, aws_endpoint_url=endpoint))
    add_backbone(store, NAME, backbone.read_bytes(), PREPARATION)
    for place, (kind, data) in enumerate(photographs(pictures)):
        (folder / "in" / kind).mkdir(parents=True, exist_ok=True)
        (folder / "in" / kind / f"{place}.jpg").write_bytes(data)
    for spec in map(spec_of, WAYS):
        land(store, spec, folder / "in")
        done = run_cycle(
            Workspace(
                spec=spec, store=store, run="benchmark", code="benchmark", api_url=None, progress=lambda line: None,
                now=lambda: datetime.now(UTC),
            )
        )  # fmt: skip
        assert done.promoted, done
    return World(store, build_package(API, "local", ROOT / "build/benchmark", python=Path(sys.executable)))


def stored(store: Store, count: int) -> Pictures:
    """Photographs in the bucket, of which nothing has been decoded yet."""
    return Pictures(store, "many", tuple(put_picture(store, "many", data) for _, data in photographs(count)))
