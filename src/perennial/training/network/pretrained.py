"""Weights that someone trained before: of transformers' ResNet-18, or of torchvision's under its own names."""

from __future__ import annotations

import io
import re
from typing import Any

import torch

from .job import Refused

HEAD = "classifier."
STEM = "resnet.embedder.embedder.convolution.weight"
_BLOCK = re.compile(r"layer([1-4])\.([01])\.(conv|bn|downsample\.)([012])\.(.+)")
_TORCHVISION = {
    "conv1.": "resnet.embedder.embedder.convolution.",
    "bn1.": "resnet.embedder.embedder.normalization.",
    "fc.": "classifier.1.",
}


def load(network: Any, data: bytes, channels: int) -> int:
    """Put weights into a ResNet-18; the head stays as it is, for it knows other classes. Returns how many were taken.

    A first layer for three channels becomes one for grey by the sum over them.

    Raises:
        Refused: they cannot be read, or are not those of a ResNet-18.
    """
    found = {ours(name): value for name, value in read(data).items()}
    found = {name: value for name, value in found.items() if not name.startswith(HEAD)}
    if channels == 1 and STEM in found and found[STEM].ndim == 4 and found[STEM].shape[1] == 3:
        found[STEM] = found[STEM].sum(dim=1, keepdim=True)
    wanted = {name: value for name, value in network.state_dict().items() if not name.startswith(HEAD)}
    missing = sorted(name for name in wanted if name not in found and not name.endswith("num_batches_tracked"))
    if missing:
        raise Refused(f"they are not those of a ResNet-18: {missing[0]} and {len(missing) - 1} others are missing")
    for name, value in wanted.items():
        if name in found and found[name].shape != value.shape:
            raise Refused(
                f"they are not those of a ResNet-18: {name} is {list(found[name].shape)} and not {list(value.shape)}"
            )
        if name in found and not torch.isfinite(found[name].float()).all():
            raise Refused(f"{name} holds what is not finite")
    taken = {name: found[name] for name in wanted if name in found}
    network.load_state_dict(taken, strict=False)
    return len(taken)


def read(data: bytes) -> dict[str, Any]:
    """The tensors of a file by their names; nothing in it is ever executed. Raises Refused."""
    try:
        found = _unpickled(data) if data[:2] == b"PK" or data[:1] == b"\x80" else _safetensors(data)
    except Exception as error:  # a file that nobody vouches for makes its reader raise anything
        raise Refused(f"they are neither safetensors nor a state dict of tensors: {_line(error)}") from error
    if isinstance(found, dict) and isinstance(found.get("state_dict"), dict):
        found = found["state_dict"]
    if not isinstance(found, dict) or not all(isinstance(value, torch.Tensor) for value in found.values()):
        raise Refused("they hold other things than tensors; save the state dict alone")
    return {str(name): value for name, value in found.items()}


def ours(name: str) -> str:
    """The name of a tensor in transformers' ResNet, also where torchvision named it."""
    name = name.removeprefix("module.")
    if match := _BLOCK.fullmatch(name):
        stage, block, kind, place, rest = match.groups()
        before = f"resnet.encoder.stages.{int(stage) - 1}.layers.{block}."
        if kind == "downsample.":
            return f"{before}shortcut.{'convolution' if place == '0' else 'normalization'}.{rest}"
        return f"{before}layer.{int(place) - 1}.{'convolution' if kind == 'conv' else 'normalization'}.{rest}"
    for theirs, own in _TORCHVISION.items():
        if name.startswith(theirs):
            return own + name.removeprefix(theirs)
    return name


def _safetensors(data: bytes) -> Any:
    from safetensors.torch import load as parsed  # type: ignore[import-not-found]

    return parsed(data)


def _unpickled(data: bytes) -> Any:
    return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]
