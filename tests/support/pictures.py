"""Small pictures of every format, folders of classes, and scikit-learn's digits as pictures."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from perennial.spec import ModelSpec

Pixels = NDArray[np.uint8]
SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "WEBP": ".webp", "GIF": ".gif", "BMP": ".bmp", "TIFF": ".tif"}
CLASSES = ("cat", "dog", "owl")
"""Each class of :func:`blotches` has a channel in which it is brightest."""


def image_spec(**changes: Any) -> ModelSpec:
    """A small spec of pictures of cats and dogs, 16 pixels square; keywords replace its keys."""
    said: dict[str, Any] = {
        "name": "pets",
        "task": "binary",
        "input": "image",
        "target": {"column": "label", "positive": "dog", "classes": ["cat", "dog"]},
        "image": {"size": 16},
        "candidates": {
            "pixels": {
                "features": "pixels",
                "estimator": "sklearn.linear_model.LogisticRegression",
                "params": {"max_iter": 1000},
            }
        },
        "metric": "accuracy",
    }
    return ModelSpec.model_validate({**said, **changes})


def blotches(seed: int, kind: str = "cat", size: tuple[int, int] = (32, 24)) -> Pixels:
    """A picture like no other seed's: uint8 [height, width, 3], smooth, brightest in the channel of its class.

    ``size`` is width and height, as Pillow says it.
    """
    rng = np.random.default_rng([seed, CLASSES.index(kind)])
    coarse = rng.integers(0, 160, (6, 6, 3))
    coarse[:, :, CLASSES.index(kind)] += 90
    return np.asarray(Image.fromarray(coarse.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC), np.uint8)


def picture_bytes(
    content: Pixels | Image.Image | str | tuple[int, ...] | None = None,
    format: str = "PNG",
    size: tuple[int, int] = (32, 24),
    *,
    mode: str | None = None,
    **options: Any,
) -> bytes:
    """A file of ``content``: an array, an image, or one color in ``size``; blotches where nothing is said.

    ``mode`` converts it before it is saved, ``options`` are those of Pillow's writer.
    """
    if content is None:
        content = blotches(0, size=size)
    if isinstance(content, np.ndarray):
        image = Image.fromarray(content)
    elif isinstance(content, Image.Image):
        image = content
    else:
        image = Image.new("RGB", size, content)
    if mode is not None:
        image = image.convert(mode)
    sink = io.BytesIO()
    image.save(sink, format, **options)
    return sink.getvalue()


def pet_bytes(seed: int, kind: str = "cat", format: str = "PNG", size: tuple[int, int] = (32, 24)) -> bytes:
    """A file of the blotches of a class."""
    return picture_bytes(blotches(seed, kind, size), format)


def class_folders(
    folder: Path,
    counts: Mapping[str, int] | Sequence[str] = CLASSES[:2],
    *,
    start: int = 0,
    size: tuple[int, int] = (32, 24),
    format: str = "PNG",
) -> Path:
    """Fill ``folder`` with a folder for each class, and return it. Base names are the same in every class.

    ``counts`` says how many of each class, 20 where it only names them; pictures of another ``start`` are others.
    """
    wanted = counts if isinstance(counts, Mapping) else dict.fromkeys(counts, 20)
    for kind, count in wanted.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for seed in range(start, start + count):
            path = folder / kind / f"{seed:05d}{SUFFIXES[format]}"
            path.write_bytes(pet_bytes(seed, kind, format, size))
    return folder


def digit_folders(folder: Path, per_class: int | None = None, *, start: int = 0, scale: int = 2) -> Path:
    """scikit-learn's handwritten digits as grey PNG files of 8 × ``scale`` pixels in folders ``0`` to ``9``.

    ``per_class`` of each, from the ``start``-th of its class on; all of them where it is None.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    for label in range(10):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        of_class = np.flatnonzero(digits.target == label)[start:]
        for place in of_class[:per_class].tolist():
            grey = np.round(digits.images[place] * (255 / 16)).astype(np.uint8)
            large = np.kron(grey, np.ones((scale, scale), np.uint8))
            (folder / str(label) / f"{place:04d}.png").write_bytes(picture_bytes(large))
    return folder


def digit_spec(**changes: Any) -> ModelSpec:
    """A spec of :func:`digit_folders`; keywords replace its keys."""
    said: dict[str, Any] = {
        "name": "digits",
        "task": "multiclass",
        "target": {"column": "digit", "classes": [str(digit) for digit in range(10)]},
        "image": {"size": 16, "color": "grey"},
    }
    return image_spec(**{**said, **changes})
