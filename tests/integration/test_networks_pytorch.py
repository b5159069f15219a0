"""Networks, trained by PyTorch itself: learnt, exported, proven, the same bytes twice, and gone when nobody waits."""

from __future__ import annotations

import json
import os
import pickle
import struct
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from perennial.export.picture_parity import look
from perennial.training.network_params import params_of
from perennial.training.network_process import interpreter
from perennial.training.networks import train_network
from perennial.training.outcome import TrainedCandidate
from tests.support.networks import digit_work, needs_pytorch

ROOT = Path(__file__).parents[2]
NET: dict[str, Any] = {"params": {"epochs": 7, "flip": False}}


@pytest.fixture(scope="module", autouse=True)
def _pytorch() -> None:
    needs_pytorch()


@pytest.fixture(scope="module")
def told() -> list[str]:
    return []


@pytest.fixture(scope="module")
def trained(told: list[str]) -> TrainedCandidate:
    return train_network(digit_work(say=told.append, **NET))


def test_a_network_learns_and_is_proven(trained: TrainedCandidate) -> None:
    report = trained.report
    assert report.estimator == "torch.depthwise"
    assert report.cross_validation.value >= 0.7
    assert report.folds == (report.cross_validation.value,)
    assert report.fold_kind == "one of 5 grouped folds"
    assert report.parity.max_difference <= 1e-6
    assert report.parity.changed_classes == 0
    assert report.parity.holdout_rows == 40
    assert report.pixels is not None
    assert report.pixels.shape == (16, 16, 1)
    assert report.params["rate"] == 0.003
    assert "learnt from 240 pictures, watched 80 and scored on 80" in report.notes


def test_what_is_published_answers_as_it_was_scored(trained: TrainedCandidate) -> None:
    work = digit_work(**NET)
    test = work.folds.folds[0].test
    found = look(trained.onnx, work.pictures.take(test).framed(work.frame))
    assert float((found.labels == work.y[test]).mean()) == trained.report.cross_validation.value
    assert found.probabilities.dtype == np.float64
    assert np.allclose(found.probabilities.sum(axis=1), 1.0)


def test_a_class_that_weighs_more_is_missed_less(trained: TrainedCandidate) -> None:
    work = digit_work(params={**NET["params"], "class_weight": {"8": 30}})
    heavy = train_network(work)

    def told_to_be_eight(onnx: bytes) -> int:
        return int((look(onnx, work.pictures.framed(work.frame)).labels == 8).sum())

    assert told_to_be_eight(heavy.onnx) > told_to_be_eight(trained.onnx)
    assert heavy.report.params["class_weight"] == {"8": 30}


def test_its_graph_is_plain_onnx_and_knows_no_machine(trained: TrainedCandidate) -> None:
    model = onnx.load_model_from_string(trained.onnx)
    assert {each.domain for each in model.opset_import} == {""}
    assert {node.domain for node in model.graph.node} == {""}
    assert [(each.name, [dim.dim_value or dim.dim_param for dim in each.type.tensor_type.shape.dim])
            for each in model.graph.input] == [("x", ["N", 16, 16, 1])]  # fmt: skip
    assert [each.name for each in model.graph.output] == ["label", "probabilities"]
    for trace in (str(ROOT).encode(), b"network_script", b"/tmp/"):
        assert trace not in trained.onnx


def test_it_says_how_far_it_is(trained: TrainedCandidate, told: list[str]) -> None:
    epochs = [line for line in told if line.startswith("net: epoch ") and "accuracy" in line]
    assert len(epochs) == 7
    assert epochs[-1].startswith("net: epoch 7/7 [############] loss ")
    assert told[-2:] == ["net: exporting", "net: proving the export"]


def test_the_same_bytes_twice_and_in_eight_bits_a_smaller_graph(trained: TrainedCandidate) -> None:
    """One training for both: what is quantised is the graph that a second training made."""
    again = train_network(digit_work(quantize="int8", **NET))
    assert again.report.parity == trained.report.parity
    assert len(again.onnx) < 0.6 * len(trained.onnx)
    assert again.report.cross_validation.value >= 0.6
    assert any(note.startswith("quantised to int8 after its export was proven") for note in again.report.notes)
    work = digit_work()
    ours, small = (look(graph, work.holdout.framed(work.frame)).probabilities for graph in (trained.onnx, again.onnx))
    assert 0 < float(np.abs(ours - small).max()) < 0.5


def test_training_ends_where_nothing_gets_better() -> None:
    work = digit_work(80, params={"epochs": 500, "patience": 1, "rate": 0.05, "flip": False})
    notes = train_network(work).report.notes
    ran = next(int(note.split()[0]) for note in notes if "of 500 epochs ran" in note)
    assert ran < 100


def resnet_weights(rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    """A ResNet-18 under torchvision's names, with batch norms that do nothing."""
    found: dict[str, NDArray[np.float32]] = {}

    def convolution(name: str, norm: str, outputs: int, inputs: int, kernel: int) -> None:
        deviation = (2.0 / (inputs * kernel * kernel)) ** 0.5
        found[f"{name}.weight"] = rng.normal(0, deviation, (outputs, inputs, kernel, kernel)).astype(np.float32)
        for part, value in (("weight", 1), ("bias", 0), ("running_mean", 0), ("running_var", 1)):
            found[f"{norm}.{part}"] = np.full(outputs, value, np.float32)

    convolution("conv1", "bn1", 64, 3, 7)
    width = 64
    for layer, wider in enumerate((64, 128, 256, 512), 1):
        for block in (0, 1):
            place = f"layer{layer}.{block}"
            convolution(f"{place}.conv1", f"{place}.bn1", wider, wider if block else width, 3)
            convolution(f"{place}.conv2", f"{place}.bn2", wider, wider, 3)
            if block == 0 and wider != width:
                convolution(f"{place}.downsample.0", f"{place}.downsample.1", wider, width, 1)
        width = wider
    found["fc.weight"], found["fc.bias"] = np.zeros((1000, 512), np.float32), np.zeros(1000, np.float32)
    return found


def safetensors(tensors: dict[str, NDArray[np.float32]]) -> bytes:
    header, body = {}, b""
    for name, value in tensors.items():
        data = value.tobytes()
        header[name] = {"dtype": "F32", "shape": list(value.shape), "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + body


def test_a_resnet_starts_from_weights_and_its_head_learns_first(tmp_path: Path) -> None:
    weights = resnet_weights(np.random.default_rng(0))
    (tmp_path / "resnet18.safetensors").write_bytes(safetensors(weights))
    params = {"epochs": 2, "head_epochs": 2, "rate": 0.01, "flip": False}
    work = digit_work(60, size=32, torch="resnet18", weights=str(tmp_path / "resnet18.safetensors"), params=params)
    found = train_network(work)
    assert any(note.startswith("started from 100 tensors of resnet18.safetensors") for note in found.report.notes)
    model = onnx.load_model_from_string(found.onnx)
    assert any(note.startswith("its logits are divided by ") for note in found.report.notes)
    first = next(numpy_helper.to_array(each) for each in model.graph.initializer if each.dims[2:] == [7, 7])
    folded = weights["conv1.weight"].sum(axis=1, keepdims=True) / np.sqrt(1 + 1e-5)
    assert np.allclose(first, folded, atol=1e-6)  # untouched: only the head has learnt


class Touch:
    """Pickled, it makes a file where it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


READ = """
import importlib, sys
from pathlib import Path
sys.path.append(sys.argv[1])
import network_script
name = network_script.package()
pretrained, job = (importlib.import_module(f"{name}.{each}") for each in ("pretrained", "job"))
from transformers import ResNetConfig, ResNetForImageClassification
network = ResNetForImageClassification(
    ResNetConfig(layer_type="basic", depths=[2, 2, 2, 2], hidden_sizes=[64, 128, 256, 512])
)
for path in sys.argv[2:]:
    try:
        print(Path(path).name, pretrained.load(network, Path(path).read_bytes(), 3))
    except job.Refused as refusal:
        print(Path(path).name, refusal)
"""


def test_weights_that_are_none_are_refused_and_run_nothing(tmp_path: Path) -> None:
    good = resnet_weights(np.random.default_rng(0))
    other = good | {"layer4.1.conv2.weight": np.zeros((512, 512, 1, 1), np.float32)}
    odd = good | {"layer1.0.bn1.bias": np.full(64, np.nan, np.float32)}
    files = {
        "good": safetensors({f"module.{name}": value for name, value in good.items()}),
        "code": pickle.dumps({"conv1.weight": Touch(tmp_path / "ran")}, protocol=2),
        "text": b"no weights",
        "empty": b"",
        "short": safetensors(good)[:5000],
        "few": safetensors({"conv1.weight": good["conv1.weight"]}),
        "other": safetensors(other),
        "nan": safetensors(odd),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    scripts = ROOT / "src/perennial/training"
    command = [str(interpreter()), "-I", "-B", "-c", READ, str(scripts), *(str(tmp_path / name) for name in files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=250)
    said = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert said.pop("good") == "100"
    for name in ("code", "text", "empty", "short"):
        assert said.pop(name).startswith("they are neither safetensors nor a state dict of tensors: "), name
    assert "resnet.embedder.embedder.normalization.bias and 98 others are missing" in said.pop("few")
    assert "layers.1.layer.1.convolution.weight is [512, 512, 1, 1] and not [512, 512, 3, 3]" in said.pop("other")
    assert said.pop("nan") == "resnet.encoder.stages.0.layers.0.layer.0.normalization.bias holds what is not finite"
    assert not said
    assert not (tmp_path / "ran").exists()


PARENT = """
import sys
from pathlib import Path
from perennial.training.network_process import interpreter, run
run(interpreter(), Path(sys.argv[1]), lambda step: print("step", flush=True), seconds=600)
"""


def test_it_ends_and_takes_its_folder_with_it_when_nobody_waits_any_more(tmp_path: Path) -> None:
    work = digit_work(60, params={"epochs": 1000, "patience": 0})
    job = params_of(work.name, work.candidate, work.frame).job("net", work.candidate, work.frame, work.classes, 42)
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "job.json").write_text(json.dumps(asdict(replace(job, width=64))))
    pictures = np.stack(list(work.pictures.framed(work.frame)))
    for name, array in (("pictures", pictures), ("proof", pictures), ("labels", work.y)):
        np.save(folder / f"{name}.npy", array)
    np.save(folder / "fit.npy", np.arange(60))
    np.save(folder / "watch.npy", np.empty(0, np.int64))
    with subprocess.Popen([sys.executable, "-c", PARENT, str(folder)], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "step\n"  # it is training
        children = child_of(parent.pid)
        parent.kill()
    assert len(children) == 1
    deadline = time.monotonic() + 60
    while folder.exists() or alive(children[0]):
        assert time.monotonic() < deadline
        time.sleep(0.1)


def child_of(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    pairs = [line.split() for line in listed.splitlines()]
    return [int(child) for child, parent in pairs if int(parent) == pid]


def alive(pid: int) -> bool:
    """A process that ended and that nobody has asked for counts as gone."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(shown.strip()) and not shown.startswith("Z")
