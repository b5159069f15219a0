"""The networks: a body, float32 [N, channels, size, size] to planes [N, width, a, b], and a head from their means.

ResNet: He, Zhang, Ren and Sun, "Deep residual learning for image recognition", 2016, as transformers builds it.
Depthwise separable convolutions: Howard and others, "MobileNets", 2017.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from .job import Job
from .pretrained import load

STRIDES = (1, 2, 1, 2, 1)


def build(job: Job, weights: bytes | None) -> tuple[Any, int]:
    """The network, its weights drawn by the job's seed or taken from ``weights``, and how many tensors were taken."""
    torch.manual_seed(job.seed)
    return _resnet18(job, weights) if job.network == "resnet18" else (_depthwise(job), 0)


def _resnet18(job: Job, weights: bytes | None) -> tuple[Any, int]:
    from transformers import ResNetConfig, ResNetForImageClassification

    config = ResNetConfig(
        num_channels=job.channels,
        layer_type="basic",
        depths=[2, 2, 2, 2],
        hidden_sizes=[64, 128, 256, 512],
        num_labels=job.classes,
    )
    whole = ResNetForImageClassification(config)
    taken = 0 if weights is None else load(whole, weights, job.channels)
    stem = nn.Sequential(whole.resnet.embedder.embedder, whole.resnet.embedder.pooler)
    if job.small_stem:
        stem = _convolution(job.channels, 64, 3, stride=2)
    return _headed(nn.Sequential(stem, *whole.resnet.encoder.stages), 512, job), taken


def _depthwise(job: Job) -> Any:
    width = job.width
    layers = [_convolution(job.channels, width, 3, stride=2)]
    for stride in STRIDES:
        wider = width * stride
        layers += [_convolution(width, width, 3, stride=stride, groups=width), _convolution(width, wider, 1)]
        width = wider
    return _headed(nn.Sequential(*layers), width, job)


def _headed(body: Any, width: int, job: Job) -> Any:
    """Body, mean over each plane, and the layer that tells classes apart."""
    return nn.Sequential(body, nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()), nn.Linear(width, job.classes))


def _convolution(inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1) -> Any:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm2d(outputs), nn.ReLU())
