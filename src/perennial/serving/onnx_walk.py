"""Look through the bytes of a graph before anything loads it: only standard operators, and nothing outside the file.

onnxruntime reads files that a tensor names, relative to wherever it runs, and knows operators of its own makers. Where
models are served there is no ``onnx``, so its wire format (Protocol Buffers) is walked here: every message that could
hold an operator, a tensor or another graph is entered, all else is skipped by its length. Only fields that ONNX
defines are let through, in the encoding it defines, so that no other reader can find in them what this one missed.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from perennial.errors import IntegrityError

DOMAINS = (b"", b"ai.onnx", b"ai.onnx.ml")
CHANCE = (b"Bernoulli", b"Multinomial", b"RandomNormal", b"RandomNormalLike", b"RandomUniform", b"RandomUniformLike")
"""Operators that draw numbers: a first run says nothing of the next, and no answer could be repeated."""
MOST_BYTES = 2**31 - 1
"""What Protocol Buffers bound a message by."""
MOST_DEPTH = 16
"""Of graphs within graphs."""
MOST_MESSAGES = 100_000
"""Of operators, attributes and tensors in all, so that a walk ends soon, and opening it. DenseNet-121 has 5,000."""
_OWN_FORMAT = b"ORTM"  # by which onnxruntime tells it apart; the same bytes may be Protocol Buffers too
_VARINT, _LONG, _BYTES, _INT = 0, 1, 2, 5
_RUNS = re.compile(rb"(?:\x3d[\x00-\xff]{4})++|(?:\x40[\x80-\xff]{0,9}+[\x00-\x7f])++")
"""Attributes write each number of a list with its tag, floats as 3D and integers as 40: a million in one go."""


class Refused(Exception):
    """Why a graph is refused, in words that end a sentence."""


@dataclass(frozen=True)
class _Kind:
    """One type of message: what its fields may be.

    ``plain`` maps a field to the encodings it has; ``inner`` to the type of message that is entered; ``domain`` is the
    field that names a domain, ``operator`` the one that names an operator; ``refused`` says of fields why they are not
    allowed.
    """

    name: str
    plain: Mapping[int, tuple[int, ...]]
    inner: Mapping[int, str]
    refused: Mapping[int, str]
    domain: int = 0
    operator: int = 0


def _plain(text: str = "", number: str = "", both: str = "", single: str = "") -> dict[int, tuple[int, ...]]:
    """Fields by their encodings: bytes, one number, numbers packed or not, and a float."""
    kinds = ((text, (_BYTES,)), (number, (_VARINT,)), (both, (_VARINT, _LONG, _INT, _BYTES)), (single, (_INT, _BYTES)))
    return {int(field): encodings for fields, encodings in kinds for field in fields.split()}


_OUTSIDE = "it keeps a tensor in another file"
_SPARSE = "it holds sparse tensors"
_KINDS = {
    kind.name: kind
    for kind in (
        _Kind("model", _plain(text="2 3 4 6 14", number="1 5"), {7: "graph", 8: "opset"},
              {20: "it holds what is needed to train it", 25: "it holds functions of its own",
               26: "it is made for several devices"}),
        _Kind("opset", _plain(number="2"), {}, {}, domain=1),
        _Kind("graph", _plain(text="2 10 11 12 13 14 16"), {1: "node", 5: "tensor"}, {15: _SPARSE}),
        _Kind("node", _plain(text="1 2 3 6 9"), {5: "attribute"},
              {8: "it calls a function by its overload", 10: "it is made for several devices"}, domain=7, operator=4),
        _Kind("attribute", _plain(text="1 4 9 13 14 15 21", number="3 20", both="8", single="2 7"),
              {5: "tensor", 10: "tensor", 6: "graph", 11: "graph"}, {22: _SPARSE, 23: _SPARSE}),
        _Kind("tensor", _plain(text="6 8 9 12 16", number="2 14", both="1 4 5 7 10 11"), {},
              {13: _OUTSIDE, 14: _OUTSIDE, 3: "it holds a tensor in segments"}),
    )
}  # fmt: skip


def check_graph(onnx: bytes, what: str = "The graph") -> None:
    """Refuse a graph that reaches beyond itself, or that is no graph; ``what`` is what the error calls it.

    Raises:
        IntegrityError: it is in another format that onnxruntime reads, or no ONNX; it or a subgraph has external data,
            sparse tensors, functions, operators that draw numbers by chance, or operators or opsets of other domains
            than ``ai.onnx`` and ``ai.onnx.ml``; or graphs are nested too deeply.
    """
    if len(onnx) > MOST_BYTES:
        raise IntegrityError(f"{what} has {len(onnx):,} bytes, of at most {MOST_BYTES:,}.")
    try:
        if onnx[4:8] == _OWN_FORMAT:
            raise Refused("it is in the format of onnxruntime itself")
        _Walk(onnx).enter("model", 0, len(onnx), -1)
    except Refused as refusal:
        raise IntegrityError(
            f"{what} is refused: {refusal}.", remedy="Train the model again; this version cannot be served."
        ) from refusal


class _Walk:
    """One walk through ``data``; positions are offsets into it."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.left = MOST_MESSAGES

    def enter(self, name: str, at: int, end: int, depth: int) -> None:
        """Walk a message and all that is in it; ``depth`` counts the graphs around it. Raises Refused."""
        self.left -= 1
        if depth > MOST_DEPTH or self.left < 0:
            raise Refused("it is nested too deeply" if depth > MOST_DEPTH else "it holds too many operators")
        kind, listed = _KINDS[name], name == "attribute"
        while at < end:
            if listed and (run := _RUNS.match(self.data, at, end)):
                at = run.end()
                continue
            tag, at = self._number(at, end)
            field, encoding = tag >> 3, tag & 7
            size, at = self._size(encoding, at, end)
            if field in kind.refused and not (name == "tensor" and field == 14 and self._is_zero(at, size)):
                raise Refused(kind.refused[field])
            inner = kind.inner.get(field)
            if inner is not None and encoding == _BYTES:
                self.enter(inner, at, at + size, depth + (inner == "graph"))
            elif field == kind.domain and field and encoding == _BYTES:
                self._check_domain(at, size)
            elif field == kind.operator and field and encoding == _BYTES:
                self._check_operator(at, size)
            elif encoding not in kind.plain.get(field, ()):
                raise Refused(f"it holds a field {field} of the kind {encoding} in its {name}, which ONNX has not")
            at += size

    def _check_domain(self, at: int, size: int) -> None:
        domain = self.data[at : at + size]
        if domain not in DOMAINS:
            raise Refused(f"it needs operators of the domain {domain[:60].decode(errors='replace')!r}")

    def _check_operator(self, at: int, size: int) -> None:
        operator = self.data[at : at + size]
        if operator in CHANCE:
            raise Refused(f"it draws numbers by chance ({operator.decode()})")

    def _is_zero(self, at: int, size: int) -> bool:
        """Whether a number is 0: data that lies in the tensor itself."""
        return self.data[at : at + size] == b"\0"

    def _size(self, encoding: int, at: int, end: int) -> tuple[int, int]:
        """How many bytes a value has and where it begins. Raises Refused where it would not end within its message."""
        if encoding == _BYTES:
            size, at = self._number(at, end)
        elif encoding == _VARINT:
            size = self._number(at, end)[1] - at
        elif encoding in (_LONG, _INT):
            size = 8 if encoding == _LONG else 4
        else:
            raise Refused("it is no ONNX graph")
        if size > end - at:
            raise Refused("it is cut off")
        return size, at

    def _number(self, at: int, end: int) -> tuple[int, int]:
        """A varint of at most ten bytes, and where it ends. Raises Refused."""
        value = shift = 0
        for place in range(at, min(at + 10, end)):
            byte = self.data[place]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, place + 1
            shift += 7
        raise Refused("it is cut off")
