"""From a trained network to one ONNX graph that takes pixels as they are: scaling, head and softmax are inside.

What comes after the convolutions is counted in float64, so that of its rounding nothing is seen.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper

from .job import Job, Refused
from .learning import Data

OPSET = 21
IR_VERSION = 10


def answers(network: Any, data: Data, pictures: Any) -> tuple[Any, Any]:
    """What PyTorch answers for pictures, uint8 [n, size, size, channels], one by one: labels and probabilities.

    In float64 throughout: the graph is held to what the network's weights say, not to another rounding of it.
    """
    exact = copy.deepcopy(network).eval().double().to(memory_format=torch.contiguous_format)
    mean, std = data.mean.double(), data.std.double()
    found = []
    with torch.no_grad():
        for place in range(len(pictures)):
            pixels = torch.from_numpy(np.array(pictures[place : place + 1])).permute(0, 3, 1, 2).double()
            found.append(exact(((pixels / 255.0 - mean) / std).contiguous()).softmax(dim=1))
    probabilities = torch.cat(found).numpy()
    return probabilities.argmax(axis=1).astype(np.int64), probabilities


def export(network: Any, job: Job, data: Data) -> bytes:
    """The graph: ``x`` uint8 [N, size, size, channels] to ``label`` and ``probabilities``.

    Raises:
        Refused: PyTorch's exporter made something else than plain ONNX.
    """
    network.eval().to(memory_format=torch.contiguous_format)
    inner = _exported(network[0], job)
    graph = inner.graph
    if {domain.domain for domain in inner.opset_import} - {"", "ai.onnx"} or inner.functions:
        raise Refused("PyTorch exported it with operators that are not of ONNX itself")
    entry, planes = graph.input[0].name, graph.output[0].name
    before = [
        helper.make_node("Transpose", ["x"], ["own_planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["own_planes"], ["own_numbers"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["own_numbers", "own_white"], ["own_shares"]),
        helper.make_node("Sub", ["own_shares", "own_mean"], ["own_centred"]),
        helper.make_node("Div", ["own_centred", "own_std"], [entry]),
    ]
    after = [
        helper.make_node("Cast", [planes], ["own_planes_64"], to=TensorProto.DOUBLE),
        helper.make_node("ReduceMean", ["own_planes_64", "own_axes"], ["own_features"], keepdims=0),
        helper.make_node("Gemm", ["own_features", "own_weight", "own_bias"], ["own_logits"], transB=1),
        helper.make_node("Softmax", ["own_logits"], ["probabilities"], axis=1),
        helper.make_node("ArgMax", ["probabilities"], ["label"], axis=1, keepdims=0),
    ]
    weight, bias = _head(network)
    own = {
        "own_white": np.float32(255.0), "own_mean": data.mean.numpy(), "own_std": data.std.numpy(),
        "own_axes": np.array([2, 3]), "own_weight": weight.numpy(), "own_bias": bias.numpy(),
    }  # fmt: skip
    initializers = [numpy_helper.from_array(np.asarray(value), name) for name, value in own.items()]
    shape: list[str | int | None] = ["N", job.size, job.size, job.channels]
    whole = helper.make_graph(
        [*before, *map(_plain, graph.node), *after],
        "perennial",
        [helper.make_tensor_value_info("x", TensorProto.UINT8, shape)],
        [
            helper.make_tensor_value_info("label", TensorProto.INT64, ["N"]),
            helper.make_tensor_value_info("probabilities", TensorProto.DOUBLE, ["N", job.classes]),
        ],
        [*initializers, *map(_plain, graph.initializer)],
    )
    imports = [helper.make_opsetid("", inner.opset_import[0].version)]
    model = helper.make_model(whole, opset_imports=imports, ir_version=IR_VERSION, producer_name="perennial")
    onnx.checker.check_model(model, full_check=True)
    return bytes(model.SerializeToString(deterministic=True))


def _head(network: Any) -> tuple[Any, Any]:
    """Weight [classes, width] and bias [classes] of the last layer, in float64."""
    return network[-1].weight.detach().double(), network[-1].bias.detach().double()


def _exported(body: Any, job: Job) -> Any:
    sample = torch.zeros(2, job.channels, job.size, job.size)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            body,
            (sample,),
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=({0: torch.export.Dim("N")},),
            verbose=False,
            external_data=False,
        )
    return program.model_proto


def _plain(part: Any) -> Any:
    """Without where in which file it came from, which would differ between two machines."""
    kept = type(part)()
    kept.CopyFrom(part)
    kept.doc_string = ""
    del kept.metadata_props[:]
    return kept
