"""The script itself: read the folder, train, export, write what was found."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from .job import REFUSED, Job, Refused, Result


def run(folder: Path) -> int:
    """Do the job of a folder; the exit code."""
    threading.Thread(target=_follow, args=(folder,), daemon=True).start()
    sys.addaudithook(_refuse_network)
    said = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what libraries print is no step

    def tell(step: dict[str, object]) -> None:
        said.write(json.dumps(step) + "\n")

    try:
        _train(folder, tell)
    except Refused as refusal:
        tell({"refused": str(refusal)})
        return REFUSED
    return 0


def _train(folder: Path, tell: Any) -> None:
    import numpy as np
    import torch

    from .exporting import answers, export
    from .learning import Data, calibrate, train
    from .nets import build

    torch.set_num_threads(1)
    torch.set_num_interop_threads(1)
    torch.use_deterministic_algorithms(True)
    job = Job.of(json.loads((folder / "job.json").read_text()))
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False)
              for name in ("pictures", "proof")}  # fmt: skip
    labels, fit, watch = (np.load(folder / f"{name}.npy", allow_pickle=False) for name in ("labels", "fit", "watch"))
    weights = (folder / "weights").read_bytes() if job.weights else None
    network, taken = build(job, weights)
    mean, std = _scale(job, arrays["pictures"], fit)
    data = Data(arrays["pictures"], labels, fit, watch, mean, std)
    trained = train(network, job, data, tell)
    temperature = calibrate(network, data)
    tell({"exporting": True})
    label, probabilities = answers(network, data, arrays["proof"])
    (folder / "model.onnx").write_bytes(export(network, job, data))
    np.savez(folder / "answers.npz", label=label, probabilities=probabilities)
    result = Result(
        epochs=trained.epochs, best=trained.best, loss=trained.loss, accuracy=trained.accuracy, temperature=temperature,
        parameters=sum(part.numel() for part in network.parameters()),
        torch=torch.__version__, transformers=version("transformers"), loaded=taken,
    )  # fmt: skip
    (folder / "result.json").write_text(json.dumps(asdict(result)))


def _scale(job: Job, pictures: Any, fit: Any) -> tuple[Any, Any]:
    """Mean and deviation of each channel, float32 [1, channels, 1, 1]: of the job, else of what is learnt from."""
    import numpy as np
    import torch

    mean, std = job.mean, job.std
    if mean is None or std is None:
        total, squares, count = np.zeros(job.channels), np.zeros(job.channels), 0
        for row in fit:
            values = pictures[row].reshape(-1, job.channels).astype(np.float64) / 255.0
            total, squares, count = total + values.sum(axis=0), squares + (values**2).sum(axis=0), count + len(values)
        middle = total / count
        mean = tuple(middle.tolist())
        std = tuple(np.maximum(np.sqrt(np.maximum(squares / count - middle**2, 0.0)), 1e-3).tolist())
    shape = (1, job.channels, 1, 1)
    return torch.tensor(mean).reshape(shape), torch.tensor(std).reshape(shape)


def _refuse_network(event: str, _: tuple[Any, ...]) -> None:
    """An audit hook: no library in this process reaches anyone, whatever it was told."""
    if event in ("socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"):
        raise OSError("there is no network here")


def _follow(folder: Path) -> None:
    """End when whoever started us does: nobody else would remove the folder."""
    os.read(0, 1)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)
