"""The table "What becomes of bad pictures" of docs/batch-scoring.md: each of its lines is files, and their outcome."""

from __future__ import annotations

import io
import json
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from PIL import Image

from perennial.errors import DataError
from perennial.scoring.dialect import sniff
from perennial.scoring.files import score_file
from perennial.scoring.pictures.places import BucketPlaces
from perennial.scoring.plan import plan_parts
from perennial.scoring.results import Summary
from perennial.scoring.scorer import Scorer
from perennial.scoring.source import BytesSource
from perennial.scoring.writing import CsvWriter, QuarantineWriter
from perennial.serving.predictor import Predictor
from perennial.store import memory_store
from tests.support import models
from tests.support.picture_models import build_pictures
from tests.support.pictures import pet_bytes, picture_bytes

DOCS = Path(__file__).parents[2] / "docs/batch-scoring.md"
PETS, TABLES = build_pictures(), models.build()
GOOD = pet_bytes(1, "dog")
END = b"PK\x05\x06"


@dataclass(frozen=True)
class Case:
    """``line`` and ``told`` as the table has them, and files of that kind. ``words`` are in the reasons and warnings.

    ``scored`` and ``quarantined`` count the rows of each; None where each of the files fails.
    """

    line: str
    told: str
    words: str
    files: Callable[[], list[bytes]]
    scored: int | None = None
    quarantined: int = 0
    name: str = "in"
    tables: bool = False


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w", method) as file:
        for name, data in files.items():
            file.writestr(name, data)
    return sink.getvalue()


def twice() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as file, pytest.warns(UserWarning, match="Duplicate"):
        for _ in range(2):
            file.writestr("../../etc/a.png", GOOD)
    return sink.getvalue()


def changed(data: bytes, at: int, by: bytes) -> bytes:
    return data[:at] + by + data[at + len(by) :]


def central(data: bytes, change: Mapping[int, bytes]) -> bytes:
    """The archive with other bytes in the record of its first entry."""
    for at, by in change.items():
        data = changed(data, data.index(b"PK\x01\x02") + at, by)
    return data


def encrypted(data: bytes) -> bytes:
    return central(changed(data, 6, b"\x01\x00"), {8: b"\x01\x00"})


def many(told: int) -> bytes:
    """An archive of 100,001 entries, whose end tells of so many."""
    record = zipped({"a": b""})
    record = record[record.index(b"PK\x01\x02") :][:47]
    directory = record * 100_001
    large = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, told, told, len(directory), 4)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 4 + len(directory), 1)
    return b"PK\x03\x04" + directory + large + locator + struct.pack("<4s4H2LH", END, 0, 0, 9, 9, 9, 9, 0)


def overlapping() -> bytes:
    data = zipped({"a": GOOD}, zipfile.ZIP_STORED)
    start = data.index(b"PK\x01\x02")
    record = data[start : start + 47]
    return data[:start] + record * 9 + struct.pack("<4s4H2LH", END, 0, 0, 9, 9, len(record) * 9, start, 0)


def animation() -> bytes:
    sink = io.BytesIO()
    frames = [Image.new("RGB", (20, 20), (place * 99, 0, 0)) for place in range(3)]
    frames[0].save(sink, "GIF", save_all=True, append_images=frames[1:])
    return sink.getvalue()


def listing(*names: str | None, **pins: str | int) -> bytes:
    return "".join(json.dumps({"file": name, **pins}) + "\n" for name in ("pets/a.png", *names)).encode()


CASES = [
    Case("zero bytes", "fails: is empty", "is empty", lambda: [b""]),
    Case("a table without a column of places", "fails: names the columns it could be", "(image, path, file, url)",
         lambda: [b"sepal_length\n1\n", b'{"Age": 1}\n']),
    Case("SVG, HTML, HEIC, a PDF", "fails: is none of those that are read", "is ",
         lambda: [b"<svg/>", b"<!doctype html><p>", b"\x00\x00\x00\x18ftypheic", b"%PDF-1.7"]),
    Case("a picture or a zip for a model of tables", "fails: says so", "is a ",
         lambda: [GOOD, zipped({"a.png": GOOD})], tables=True),
    Case("a zip cut short, or with a damaged directory", "fails: is a damaged zip", "is a damaged zip",
         lambda: [zipped({"a.png": GOOD})[:-30], central(zipped({"a.png": GOOD}), {0: b"XX"})]),
    Case("a zip of over 100,000 entries, or that tells of fewer than it has", "fails: says so", "",
         lambda: [many(100_001), many(10_000_000), many(3)]),
    Case("a zip whose entries overlap, or that unpacks to over 100 times its size beyond 100 MB",
         "fails: as a zip bomb does", "as a zip bomb does", lambda: [overlapping(), zipped({"a": bytes(110_000_000)})]),
    Case("a zip whose entries are all encrypted", "fails: is encrypted", "is encrypted",
         lambda: [encrypted(zipped({"a.png": GOOD}))]),
    Case("a Word or Excel document", "fails: is a document", "is a document",
         lambda: [zipped({"[Content_Types].xml": b"<x/>", "word/document.xml": b"<x/>"})]),
    Case("one volume of several", "fails: says so", "one volume of several",
         lambda: [central(zipped({"a.png": GOOD}), {34: b"\x02\x00"})]),
    Case("a zip without entries, or with folders alone", "a result without rows, and a warning", "It holds no rows.",
         lambda: [zipped({}), zipped({"a/": b"", "a/b/": b""})], 0),
    Case("what systems put into folders: `__MACOSX/`, `.DS_Store`, `Thumbs.db`", "passed over, with a warning",
         "3 of its entries",
         lambda: [zipped({"a.png": GOOD, "__MACOSX/._a.png": b"", "a/.DS_Store": b"", "a/Thumbs.db": b""})], 1),
    Case("names such as `../../etc/a.png`, or twice the same", "scored; a name is only shown", "../../etc/a.png",
         lambda: [twice()], 2),
    Case("a name of over 1,000 characters", "the picture to quarantine", "a name of over 1,000 characters",
         lambda: [zipped({"a.png": GOOD, "b" * 1001: GOOD})], 1, 1),
    Case("an entry that is encrypted, damaged, packed by bzip2, or not where the directory says",
         "the picture to quarantine", "is ",
         lambda: [encrypted(zipped({"b.png": GOOD, "a.png": GOOD})),
                  changed(zipped({"b.png": GOOD, "a.png": GOOD}), 60, b"XX"),
                  central(zipped({"b.png": GOOD, "a.png": GOOD}), {10: b"\x0c\x00"}),
                  central(zipped({"b.png": GOOD, "a.png": GOOD}), {42: b"\x07\x00"})], 1, 1),
    Case("an entry that is larger than the directory says",
         "the picture to quarantine; no more than was said is unpacked", "is larger than the 9 bytes",
         lambda: [central(zipped({"b.png": GOOD, "a.png": GOOD}), {24: b"\x09\x00\x00\x00"})], 1, 1),
    Case("an entry or a picture of over 20 MB, or of over 40 million pixels",
         "the picture to quarantine; it is not decoded", "of at most",
         lambda: [zipped({"a.bmp": b"BM" + bytes(20_000_000)}, zipfile.ZIP_STORED), GOOD + bytes(20_000_000),
                  picture_bytes("white", size=(7000, 7000), mode="1")], 0, 1),
    Case("a zip within the zip, a text, SVG, an animation", "the picture to quarantine", "is ",
         lambda: [zipped({"a": zipped({"b.png": GOOD}), "b": b"text", "c": b"<svg/>", "d": animation()})], 0, 4),
    Case("a picture that is cut short", "the picture to quarantine", "cannot be read", lambda: [GOOD[:-200]], 0, 1),
    Case("a row of a listing whose picture is gone, replaced since it was pinned, or an address of the web",
         "the row to quarantine", "is ",
         lambda: [listing("pets/b.png"), listing("https://example.org/a.png"),
                  b"file,etag,size\npets/a.png,,\npets/a.png,xyz,9\n"], 1, 1),
    Case("a row of a listing that is malformed, or names nothing", "the row to quarantine", "",
         lambda: [listing(None), listing() + b"{\n", b"file,who\npets/a.png,x\na,b,c\n"], 1, 1),
    Case("a wrong extension", "scored, with a warning", "It is named .csv but holds",
         lambda: [GOOD, zipped({"a": GOOD})], 1, name="in.csv"),
]  # fmt: skip


def score(name: str, data: bytes, built: object) -> tuple[Summary, str]:
    """The summary, and all that is told of rows."""
    store = memory_store()
    store.put_new("pets/a.png", GOOD)
    model = Predictor(built.manifest, built.onnx)  # type: ignore[attr-defined]
    source = BytesSource(name, data)
    dialect = sniff(source, model.manifest.spec)
    plan_parts(source, dialect)
    scorer = Scorer(model, names=dialect.columns, file=name)
    rows, refused = io.BytesIO(), io.BytesIO()
    summary = score_file(
        scorer, source, dialect, CsvWriter(rows, scorer.schema), QuarantineWriter(refused), threads=2,
        places=BucketPlaces(lambda bucket: store, "data", "pets", "data", "pets/batch/in/"),
    )  # fmt: skip
    assert len(refused.getvalue().splitlines()) - 1 == summary.counts.quarantined
    return summary, rows.getvalue().decode() + refused.getvalue().decode()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.line)
def test_each_input_has_the_outcome_that_is_told(case: Case) -> None:
    for data in case.files():
        if case.scored is None:
            with pytest.raises(DataError) as caught:
                score(case.name, data, TABLES if case.tables else PETS)
            assert case.words in str(caught.value) and caught.value.remedy
            continue
        summary, told = score(case.name, data, PETS)
        assert (summary.counts.scored, summary.counts.quarantined) == (case.scored, case.quarantined), told
        assert case.words in "\n".join([*summary.warnings, told])
        assert bool(summary.warnings) == ("warning" in case.told)


def test_the_table_is_that_of_the_documentation() -> None:
    told = DOCS.read_text().split("## What becomes of bad pictures", 1)[1].split("\n## ", 1)[0]
    assert [f"| {case.line} | {case.told} |" for case in CASES] == told.strip().splitlines()[4:]
