"""Models that somebody with a trainer's rights may publish, signature and all, and that may never serve."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from perennial.registry.manifest import ModelManifest
from perennial.serving.onnx_walk import MOST_DEPTH, MOST_MESSAGES
from tests.support import hostile_graphs
from tests.support.chaos import models_bombs as bombs
from tests.support.chaos import models_graphs as graphs
from tests.support.hostile_models import Made, classifier, nowhere, regression
from tests.support.models import make_manifest, make_spec

PROOF = "it-was-run"
"""The file that a pickle makes where it is loaded."""
PICKLE = b"cpathlib\nPath.touch\n(cpathlib\nPath\n(S'%s'\ntRtR." % PROOF.encode()
OUTSIDE = "weights.bin"
"""What lies where the process runs, and in the folder above."""


@dataclass(frozen=True)
class Hostile:
    """One version. ``seen`` where its bytes show it, so that no server opens it even if the log says so.

    ``short`` where the short form has it promoted too; ``seconds`` bounds the first run of one that has no end.
    """

    kind: str
    made: Made
    seen: bool = True
    short: bool = False
    seconds: float | None = None

    @property
    def manifest(self) -> ModelManifest:
        return self.made.manifest

    @property
    def onnx(self) -> bytes:
        return self.made.onnx


def published(onnx_bytes: bytes) -> Made:
    """Any bytes in the place of a graph."""
    return Made(make_manifest(make_spec("m", "regression", {"a": {"type": "number"}}), (), onnx_bytes), onnx_bytes)


def everything(folder: Path, draw: Random, *, full: bool) -> Iterator[Hostile]:
    """One of each kind; what lies outside is in ``folder``, where the process is to run."""
    yield from no_graphs()
    yield from outsiders(folder)
    yield from by_the_walk(full=full)
    yield from cut(draw, 40 if full else 6)
    yield from oversized()
    yield from greedy()
    yield from endless_ones(5.0 if full else 1.5)
    yield from ill_fitting()


def no_graphs() -> Iterator[Hostile]:
    archive, array = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as made:
        made.writestr("model/data.pkl", PICKLE)
    np.lib.format.write_array_header_1_0(array, {"descr": "|O", "fortran_order": False, "shape": (1,)})
    pickles = (PICKLE, b"\x80\x05" + PICKLE, archive.getvalue(), array.getvalue() + PICKLE)
    for number, data in enumerate((*pickles, b"\0", b"\0" * 4096)):
        yield Hostile("pickle or no graph at all", published(data), short=number == 2)


def outsiders(folder: Path) -> Iterator[Hostile]:
    """Weights in files beside the process, by every way to name one. Each file is there, and would do as weights."""
    weights = np.array([[2.0]]).tobytes()
    for place in (folder / OUTSIDE, folder.parent / OUTSIDE, folder / "other"):
        place.write_bytes(weights)
    (folder / "symlink").symlink_to(folder.parent / OUTSIDE)
    (folder / "hardlink").hardlink_to(folder / "other")
    names = {
        "relative path": OUTSIDE, "parent's path": f"../{OUTSIDE}", "absolute path": str(folder / OUTSIDE),
        "symbolic link": "symlink", "hard link": "hardlink", "device": "/dev/zero", "memory": "*/_ORT_MEM_ADDR_/*",
    }  # fmt: skip
    for what, name in names.items():
        yield Hostile(f"external data, {what}", graphs.outside(name), short=what == "absolute path")
    yield Hostile("external data, in a subgraph", graphs.outside_within(OUTSIDE), short=True)


KINDS = {
    "external": "external data, elsewhere in a graph", "sparse": "sparse tensors", "segment": "tensors in segments",
    "other": "foreign operators", "opset": "foreign operators", "overload": "functions", "function": "functions",
    "training": "training or devices", "devices": "training or devices", "chance": "operators of chance",
    "too": "nested too deeply",
}  # fmt: skip


def by_the_walk(*, full: bool) -> Iterator[Hostile]:
    for name, made in hostile_graphs.HOSTILE.items():
        short = name in ("other domain in a subgraph", "function")
        yield Hostile(KINDS[name.split()[0]], published(made.SerializeToString()), short=short)
    yield Hostile("functions", published(graphs.redefining()))
    yield Hostile("functions", published(graphs.recursive()))
    for depth in (MOST_DEPTH + 1, 1_000, 5_000):
        yield Hostile("nested too deeply", published(graphs.deep(depth)))
    yield Hostile("100,000 operators", published(graphs.crowded(MOST_MESSAGES)))
    if full:
        yield Hostile("100,000 operators", graphs.chain(100_000))


def cut(draw: Random, count: int) -> Iterator[Hostile]:
    whole = graphs.sound().onnx
    for place in (1, len(whole) - 1, *(draw.randrange(1, len(whole)) for _ in range(count))):
        yield Hostile("truncated protobuf", published(whole[:place]), short=place == 1)


def oversized() -> Iterator[Hostile]:
    """Claims that no bytes stand behind."""
    yield Hostile("more dimensions than data", graphs.claiming([1 << 40, 1]))
    yield Hostile("more dimensions than data", graphs.claiming([1 << 31, 1 << 31, 4]))
    yield Hostile("more dimensions than data", graphs.claiming([-1, 1]))


def greedy() -> Iterator[Hostile]:
    """Few bytes that ask for gigabytes when they are run, or opened."""
    for name, made in bombs.bombs(3 << 30).items():
        yield Hostile(f"memory bomb, {name}", made, seen=False, short=name == "ConstantOfShape")


def endless_ones(seconds: float) -> Iterator[Hostile]:
    for name, made in bombs.loops().items():
        yield Hostile(f"endless, {name}", made, seen=False, short=name == "Loop", seconds=seconds)


def ill_fitting() -> Iterator[Hostile]:
    """Graphs that run, and are not what their manifest says."""
    for number, made in enumerate((classifier(3), classifier(-1), nowhere())):
        yield Hostile("answers that cannot be told", made, seen=False, short=number != 1)
    for kind in ("INT64", "STRING", "BOOL"):
        yield Hostile("another type or shape of answers", graphs.answering(kind), short=kind == "INT64")
    yield Hostile("another type or shape of answers", graphs.column())
    for change in (renamed_input, renamed_output, narrow, wide):
        yield Hostile("other names, types or widths", changed(change), short=change is wide)
    for version in (99, 2**62):
        yield Hostile("unknown version of the format", changed(lambda one, v=version: setattr(one, "ir_version", v)))
    yield Hostile("unknown version of the format", changed(lambda one: setattr(one.opset_import[0], "version", 99)))
    yield Hostile("unknown operator", regression([helper.make_node("Nope", ["x"], ["value"])], []))
    name = "bad\x1b]0;owned\x07\n\x1b[31mname"
    yield Hostile("control characters in names", regression([helper.make_node("Add", ["x", name], ["value"])], []),
                  short=True)  # fmt: skip
    yield Hostile("control characters in names", changed(lambda one: setattr(one.graph.input[0], "name", name)))


def changed(change: Any) -> Made:
    """The sound graph, after a change of its protobuf."""
    whole = onnx.load_model_from_string(graphs.sound().onnx)
    change(whole)
    return published(bytes(whole.SerializeToString()))


def renamed_input(whole: Any) -> None:
    whole.graph.input[0].name = whole.graph.node[0].input[0] = "y"


def renamed_output(whole: Any) -> None:
    whole.graph.output[0].name = whole.graph.node[-1].output[0] = "answer"


def narrow(whole: Any) -> None:
    whole.graph.input[0].type.tensor_type.elem_type = TensorProto.FLOAT


def wide(whole: Any) -> None:
    whole.graph.input[0].type.tensor_type.shape.dim[1].dim_value = 7


def harmless() -> Iterator[Hostile]:
    """What looks suspicious and is not: these have to be promoted, or the check would pass by refusing everything."""
    whole = onnx.load_model_from_string(graphs.sound().onnx)
    whole.doc_string = PICKLE.decode()
    kept = whole.graph.node.add()
    kept.CopyFrom(helper.make_node("Constant", [], ["kept"], value_string=PICKLE))
    whole.graph.initializer.append(numpy_helper.from_array(np.frombuffer(PICKLE, np.uint8), "more"))
    yield Hostile("a pickle that is only data", published(bytes(whole.SerializeToString())), seen=False, short=True)
    yield Hostile("a loop that ends", bombs.counted(100), seen=False)
    yield Hostile("1,000 operators", graphs.chain(1_000), seen=False)
