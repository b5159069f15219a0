"""Augmentation: a batch of pictures as other photographs of the same things would show them."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch.nn import functional

from .job import Job


def varied(pictures: Any, job: Job, rng: np.random.Generator) -> Any:
    """Mirror, move, zoom, lighten and sharpen the contrast of pictures, each in its own way.

    ``pictures`` are float32 [N, channels, size, size] from 0 to 1, and so are those returned.
    """
    count = len(pictures)
    if job.flip or job.shift or job.zoom:
        scale = 1.0 + rng.uniform(-job.zoom, job.zoom, count)
        mirror = np.where(rng.random(count) < 0.5, -1.0, 1.0) if job.flip else np.ones(count)
        moved = 2.0 * rng.uniform(-job.shift, job.shift, (count, 2))
        matrix = np.zeros((count, 2, 3), np.float32)
        matrix[:, 0, 0], matrix[:, 1, 1], matrix[:, :, 2] = scale * mirror, scale, moved
        grid = functional.affine_grid(torch.from_numpy(matrix), list(pictures.shape), align_corners=False)
        pictures = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
    if job.brightness or job.contrast:
        light = _each(rng.uniform(-job.brightness, job.brightness, count))
        contrast = _each(1.0 + rng.uniform(-job.contrast, job.contrast, count))
        middle = pictures.mean(dim=(1, 2, 3), keepdim=True)
        pictures = ((pictures - middle) * contrast + middle + light).clamp(0.0, 1.0)
    return pictures


def _each(values: Any) -> Any:
    return torch.from_numpy(values.astype(np.float32)).reshape(-1, 1, 1, 1)
