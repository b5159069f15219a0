"""Frozen extractors in the bucket: added once under a name that never means another, and read by their digest."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

import onnx
from onnx import TensorProto, helper

from perennial import keys
from perennial.canonical import Keyed
from perennial.errors import AlreadyExistsError, ExportError, IntegrityError, NotFoundError
from perennial.export.extractors import Extractor
from perennial.export.graph import INPUT
from perennial.export.naming import rename
from perennial.export.preparation import Preparation
from perennial.export.trial import SECONDS, tried
from perennial.spec import Frame
from perennial.spec_candidates import BACKBONE
from perennial.store import Store


class Backbone(Keyed):
    """What a name stands for.

    ``digest`` and ``size`` (bytes) are those of the normalised graph, ``source`` is the SHA-256 (hex) of the file it
    was made from; ``width`` is the number of its features.
    """

    name: str
    digest: str
    size: int
    width: int
    source: str
    preparation: Preparation


@dataclass(frozen=True)
class Added:
    """A backbone that is in the bucket; ``new`` where it was not before."""

    backbone: Backbone
    new: bool


def add_backbone(store: Store, name: str, source: bytes, how: Preparation, *, seconds: float = SECONDS) -> Added:
    """Normalise a graph, run it for the first time, and store it under a name. Repeating it changes nothing.

    Raises:
        ExportError: the name is none, or the graph cannot serve.
        AlreadyExistsError: the name stands for another graph, or for this one prepared otherwise.
    """
    if not re.fullmatch(BACKBONE, name):
        raise ExportError(
            f"{name[:60]!r} is no name of a backbone.",
            remedy="Use lower-case letters, digits, '.', '_' and '-', at most 60, such as mobilenetv2-035.",
        )
    digest = hashlib.sha256(source).hexdigest()
    if (known := _known(store, name)) is not None:
        return _the_same(known, digest, how)
    graph = tried(source, how, seconds=seconds)
    found = Backbone(
        name=name,
        digest=hashlib.sha256(graph.onnx).hexdigest(),
        size=len(graph.onnx),
        width=graph.width,
        source=digest,
        preparation=how,
    )
    store.put_new(keys.backbone_blob(found.digest), graph.onnx)
    try:
        store.put_new(keys.backbone(name), found.to_bytes())
    except AlreadyExistsError:  # added twice at once
        return _the_same(find_backbone(store, name), digest, how)
    return Added(found, new=True)


def find_backbone(store: Store, name: str) -> Backbone:
    """What a name stands for. Raises NotFoundError with the command that adds it, or IntegrityError."""
    found = _known(store, name)
    if found is None:
        raise NotFoundError(
            f"The bucket has no backbone {name!r}.",
            remedy=f"Add it, as it wants its pictures: perennial backbone add {name} FILE.onnx --layout NHWC "
            "--size 224 --range -1:1 --color RGB",
        )
    return found


def list_backbones(store: Store) -> list[Backbone]:
    """All of them, by name. Raises IntegrityError."""
    found = [entry.key for entry in store.list(keys.backbones()) if entry.key.endswith(".json")]
    return [Backbone.from_bytes(store.get(key).data, key) for key in sorted(found)]


def backbone_extractor(store: Store, name: str, frame: Frame) -> Extractor:
    """A backbone for pictures of the color and fit of ``frame``, in its own size.

    Raises:
        NotFoundError: the bucket has none of this name.
        IntegrityError: its graph is gone, or does not match its digest.
    """
    found = find_backbone(store, name)
    key = keys.backbone_blob(found.digest)
    try:
        graph = store.get(key).data
    except NotFoundError as error:
        raise IntegrityError(f"{key} is gone.", remedy="Restore it from a backup.") from error
    if hashlib.sha256(graph).hexdigest() != found.digest:
        raise IntegrityError(f"{key} does not match its name.", remedy="Restore it from a backup.")
    own = frame.model_copy(update={"size": found.preparation.size})
    return Extractor(_of_grey(graph, own) if own.color == "grey" else graph, own, found.width)


def _known(store: Store, name: str) -> Backbone | None:
    key = keys.backbone(name)
    found = store.find(key)
    return None if found is None else Backbone.from_bytes(found.data, key)


def _the_same(known: Backbone, source: str, how: Preparation) -> Added:
    if (known.source, known.preparation) == (source, how):
        return Added(known, new=False)
    why = "another file" if known.source != source else "the same file, prepared otherwise"
    raise AlreadyExistsError(
        f"The backbone {known.name!r} stands for {why}: sha256 {known.source[:12]}, {known.preparation.layout}, "
        f"{known.preparation.size} pixels.",
        remedy="Choose another name: one that models were trained with never changes its meaning.",
    )


def _of_grey(graph: bytes, frame: Frame) -> bytes:
    """The same graph over pictures of one channel, which it is shown in all three."""
    model = onnx.load_model_from_string(graph)
    rename(model.graph, lambda name: "three" if name == INPUT else name)
    model.graph.node.insert(0, helper.make_node("Concat", [INPUT] * 3, ["three"], axis=3))
    model.graph.input[0].CopyFrom(helper.make_tensor_value_info(INPUT, TensorProto.UINT8, [1, *frame.shape]))
    return bytes(model.SerializeToString())
