"""Which rows of pictures belong together."""

from __future__ import annotations

import io

import numpy as np
import pyarrow as pa
from PIL import Image

from perennial.datasets.kinship import kin_keys, kinship
from perennial.images.decode import decode
from perennial.images.fingerprint import fingerprint
from perennial.spec import ModelSpec

SPEC = ModelSpec.model_validate(
    {
        "name": "plants",
        "task": "binary",
        "input": "image",
        "target": {"column": "label"},
        "candidates": {"p": {"features": "pixels", "estimator": "sklearn.linear_model.LogisticRegression"}},
    }
)


def a_print(seed: int, size: int = 64, quality: int = 95) -> bytes:
    """The fingerprint of a smooth random picture, resized and saved as asked."""
    cells = np.random.default_rng(seed).integers(0, 256, (6, 6, 3)).astype(np.uint8)
    image = Image.fromarray(cells).resize((size, size), Image.Resampling.BICUBIC)
    sink = io.BytesIO()
    image.save(sink, "JPEG", quality=quality)
    return fingerprint(decode(sink.getvalue()))


def rows(*told: tuple[str, bytes | None, str | None, str]) -> pa.Table:
    names = ("image", "fingerprint", "group", "label")
    types = (pa.string(), pa.binary(), pa.string(), pa.string())
    columns = list(zip(*told, strict=True)) or [()] * 4
    return pa.table(
        {name: pa.array(list(column), kind) for name, column, kind in zip(names, columns, types, strict=True)}
    )


def test_copies_and_groups_hang_together_along_any_chain() -> None:
    table = rows(
        ("a", a_print(1), "ann", "x"),
        ("b", a_print(2), "bob", "x"),
        ("c", a_print(1, size=200, quality=60), "bob", "x"),  # a copy of ann's picture, in bob's name
        ("d", a_print(3), None, "x"),
        ("e", a_print(4), None, "x"),
        ("e", None, "eve", "x"),  # the same bytes, not measured
        ("f", a_print(5), "eve", "x"),
    )
    assert kinship(table).tolist() == [0, 0, 0, 3, 4, 4, 4]


def test_no_rows_have_no_kin() -> None:
    assert kinship(rows()).tolist() == []
    assert kin_keys(SPEC, []) == []


def test_keys_tell_copies_under_one_label_from_those_under_another() -> None:
    first = rows(("a", a_print(1), "ann", "x"), ("b", a_print(2), "ann", "x"))
    second = rows(("c", a_print(1, quality=50), None, "x"), ("d", a_print(1, size=90), None, "y"))
    one, other = kin_keys(SPEC, [first, second])
    assert one.content[0] == other.content[0] != other.content[1]
    assert one.content[0] != one.content[1]
    assert len({*one.identity, *other.identity}) == 1


def test_keys_do_not_depend_on_the_order_of_tables_or_rows() -> None:
    first = rows(("a", a_print(1), "ann", "x"), ("b", a_print(2), None, "x"))
    second = rows(("c", a_print(1, quality=50), "bob", "x"), ("d", a_print(6), "bob", "x"))
    one, other = kin_keys(SPEC, [first, second])
    swapped, back = kin_keys(SPEC, [second.take([1, 0]), first])
    assert (back.identity, back.content) == (one.identity, one.content)
    assert (swapped.identity[::-1], swapped.content[::-1]) == (other.identity, other.content)
