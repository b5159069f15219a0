"""What a network is trained from in tests: scikit-learn's digits in a bucket in memory, and folds of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_digits

from perennial.datasets.pictures import Pictures, put_picture
from perennial.store import memory_store
from perennial.training.folds import Fold, Folds
from perennial.training.network_process import VARIABLE, interpreter
from perennial.training.picture_work import PictureWork
from tests.support.pictures import digit_spec, picture_bytes

HOLDOUT = 40


def needs_pytorch() -> None:
    """Skip where no PyTorch is: its CPU build is not to be had for every Python."""
    if interpreter() is None:
        pytest.skip(f"no PyTorch here: `make vision`, or {VARIABLE}")


def digit_work(
    count: int = 400,
    *,
    size: int = 16,
    say: Callable[[str], None] = lambda text: None,
    torch: str = "depthwise",
    **candidate: Any,
) -> PictureWork:
    """A network over ``count`` digits in five folds; keywords are keys of its candidate."""
    spec = digit_spec(image={"size": size, "color": "grey"}, candidates={"net": {"torch": torch, **candidate}})
    digits, store = load_digits(), memory_store()
    found = []
    for image in digits.images[: count + HOLDOUT]:
        grey = np.round(image * (255 / 16)).astype(np.uint8)
        found.append(put_picture(store, spec.name, picture_bytes(np.kron(grey, np.ones((2, 2), np.uint8)))))
    parts = np.array_split(np.random.default_rng(0).permutation(count), 5)
    folds = tuple(Fold(np.setdiff1d(np.arange(count), part), np.sort(part)) for part in parts)
    classes = tuple(str(digit) for digit in range(10))
    return PictureWork(
        spec, "net", spec.candidates["net"], Pictures(store, spec.name, tuple(found[:count])),
        digits.target[:count].astype(np.int64), Pictures(store, spec.name, tuple(found[count:])), classes,
        Folds("grouped", folds), 42, store, say,
    )  # fmt: skip
