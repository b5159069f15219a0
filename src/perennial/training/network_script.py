"""Trains one network with PyTorch. A script for an environment of its own, in which nothing of this package is.

``python -I network_script.py FOLDER`` where the folder holds

    job.json      what ``network.job.Job`` says
    pictures.npy  uint8 [n, size, size, channels], and labels.npy int64 [n], their class indices
    fit.npy       int64: positions of the pictures to learn from, and watch.npy of those that say when to stop
    proof.npy     uint8 [m, size, size, channels]: pictures whose answers are to be told
    weights       optional: a state dict, as safetensors or as ``torch.save`` writes it

and is given

    model.onnx    ``x`` uint8 [N, size, size, channels] to ``label`` int64 [N], ``probabilities`` float64 [N, classes]
    answers.npz   what the network itself answers for the pictures of the proof, under the same two names
    result.json   what ``network.job.Result`` says

On standard output goes a line of JSON for each step; where it cannot go on, ``{"refused": reason}`` and exit code 2.
It ends when its standard input does, and takes the folder with it: whoever started it is gone. It speaks to no network.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

PACKAGE = "perennial_network"


def package() -> str:
    """Load the package beside this file under a name of its own: its neighbours are not for this environment."""
    place = Path(__file__).with_name("network")
    spec = importlib.util.spec_from_file_location(
        PACKAGE, place / "__init__.py", submodule_search_locations=[str(place)]
    )
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules[PACKAGE] = made
    spec.loader.exec_module(made)
    return PACKAGE


def main(folder: str) -> int:
    """Do the job of a folder; the exit code."""
    return int(importlib.import_module(f"{package()}.run").run(Path(folder)))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
