"""Training: AdamW under a cosine of the learning rate, the head first, ended early by pictures only watched."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from .job import Job, Refused
from .varied import varied

WARM_UP = 0.05
WATCH_BATCH = 64
MOST_TEMPERATURE = 100.0
HALVINGS = 40
NEARLY = 1e-3
TOLD_AFTER = 20.0
"""Seconds after which an epoch that is not over says how far it is."""

Tell = Callable[[dict[str, object]], None]


@dataclass(frozen=True)
class Data:
    """Pictures uint8 [n, size, size, channels], class indices [n], and whose positions are learnt from and watched."""

    pictures: Any
    labels: Any
    fit: Any
    watch: Any
    mean: Any
    std: Any

    def batch(self, rows: Any) -> tuple[Any, Any]:
        """float32 [N, channels, size, size] from 0 to 1, and their classes."""
        pixels = torch.from_numpy(np.ascontiguousarray(self.pictures[rows])).permute(0, 3, 1, 2)
        return pixels.to(torch.float32).div(255.0), torch.from_numpy(self.labels[rows])

    def scaled(self, pictures: Any) -> Any:
        """As the network takes them."""
        return ((pictures - self.mean) / self.std).contiguous(memory_format=torch.channels_last)


@dataclass(frozen=True)
class Trained:
    """Epochs that ran, the one whose weights the network has now, and what was seen of it then."""

    epochs: int
    best: int
    loss: float
    accuracy: float


def train(network: Any, job: Job, data: Data, tell: Tell) -> Trained:
    """Train the network in place. Raises Refused where the loss is not finite any more."""
    network.to(memory_format=torch.channels_last)
    batches = max(1, round(len(data.fit) / job.batch))
    optimizer = torch.optim.AdamW(network.parameters(), lr=job.rate, weight_decay=job.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, _cosine(batches * job.epochs))
    started, best, kept = time.monotonic(), Trained(0, 0, math.inf, 0.0), None
    for epoch in range(1, job.epochs + 1):
        head_only = epoch <= job.head_epochs
        for parameter in network[0].parameters():
            parameter.requires_grad_(not head_only)
        loss = _epoch(network, job, data, epoch, batches, optimizer, schedule, tell)
        watched, accuracy = _watch(network, job, data) if len(data.watch) else (loss, 0.0)
        if not math.isfinite(loss) or not math.isfinite(watched):
            raise Refused(f"its loss is not finite in epoch {epoch}; set a lower params.rate")
        left = (time.monotonic() - started) / epoch * (job.epochs - epoch)
        tell({"epoch": epoch, "epochs": job.epochs, "loss": loss, "watched": watched if len(data.watch) else None,
              "accuracy": accuracy, "left": left})  # fmt: skip
        if not len(data.watch) or watched < best.loss:
            best, kept = Trained(epoch, epoch, watched, accuracy), copy.deepcopy(network.state_dict())
        elif job.patience and epoch - max(best.best, job.head_epochs) >= job.patience:
            break
    network.load_state_dict(kept)
    return Trained(epoch, best.best, best.loss, best.accuracy)


def _epoch(network: Any, job: Job, data: Data, epoch: int, batches: int, optimizer: Any, schedule: Any,
           tell: Tell) -> float:  # fmt: skip
    """One pass over the pictures to learn from, in an order that seed and epoch decide; the mean loss."""
    rng = np.random.default_rng([job.seed, epoch])
    network.train()
    if epoch <= job.head_epochs:
        network[0].eval()  # its means and deviations are those of its own training
    total, told = 0.0, time.monotonic()
    for place, rows in enumerate(np.array_split(rng.permutation(data.fit), batches)):
        pictures, labels = data.batch(rows)
        optimizer.zero_grad(set_to_none=True)
        logits = network(data.scaled(varied(pictures, job, rng)))
        loss = _loss(job, logits, labels, label_smoothing=job.label_smoothing)
        loss.backward()
        optimizer.step()
        schedule.step()
        total += float(loss.detach()) * len(rows)
        if time.monotonic() - told > TOLD_AFTER:
            told = time.monotonic()
            tell({"epoch": epoch, "epochs": job.epochs, "part": (place + 1) / batches})
    return total / len(data.fit)


def calibrate(network: Any, data: Data) -> float:
    """Divide the head by the temperature that fits the watched pictures best, at least 1; returns it.

    Guo, Pleiss, Sun and Weinberger, "On calibration of modern neural networks", 2017. No class changes. A network that
    is less sure than it could be stays so: of large logits, float32 keeps fewer digits.
    """
    if not len(data.watch):
        return 1.0
    logits, labels = _watched(network, data)
    low, high = 1.0 / MOST_TEMPERATURE, 1.0
    for _ in range(HALVINGS):  # the loss is convex in 1 / temperature
        one, other = low + (high - low) / 3, high - (high - low) / 3
        if functional.cross_entropy(logits * one, labels) < functional.cross_entropy(logits * other, labels):
            high = other
        else:
            low = one
    sharpness = 1.0 if 1.0 - high < NEARLY else round((low + high) / 2, 4)
    with torch.no_grad():
        for part in network[-1].parameters():
            part.mul_(sharpness)
    return 1.0 / sharpness


def _loss(job: Job, logits: Any, labels: Any, **options: float) -> Any:
    """Mean cross entropy, of which each class has its weight."""
    weight = None if job.class_weight is None else torch.tensor(job.class_weight, dtype=logits.dtype)
    return functional.cross_entropy(logits, labels, weight=weight, **options)


def _watch(network: Any, job: Job, data: Data) -> tuple[float, float]:
    """Mean loss and accuracy on the pictures that are watched."""
    logits, labels = _watched(network, data)
    right = (logits.argmax(dim=1) == labels).double().mean()
    return float(_loss(job, logits, labels)), float(right)


def _watched(network: Any, data: Data) -> tuple[Any, Any]:
    """Logits float64 [n, classes] and classes [n] of the pictures that are watched."""
    network.eval()
    found = []
    with torch.no_grad():
        for start in range(0, len(data.watch), WATCH_BATCH):
            pictures, _ = data.batch(data.watch[start : start + WATCH_BATCH])
            found.append(network(data.scaled(pictures)).double())
    return torch.cat(found), torch.from_numpy(data.labels[data.watch])


def _cosine(steps: int) -> Callable[[int], float]:
    """From a short warm-up down to zero (Loshchilov and Hutter, 2017)."""
    warm = max(1, round(WARM_UP * steps))

    def factor(step: int) -> float:
        if step < warm:
            return (step + 1) / warm
        return 0.5 * (1.0 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))

    return factor
