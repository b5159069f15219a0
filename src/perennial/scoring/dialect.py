"""How a file is written: told from its first bytes and the columns of the spec, never from its name."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from perennial.datasets.unpack import is_gzip, is_parquet
from perennial.errors import DataError
from perennial.images.kinds import begins_as_picture
from perennial.scoring.encoding import WINDOWS_WARNING, encoding_of
from perennial.scoring.header import best_header
from perennial.scoring.jsonl_units import jsonl_names
from perennial.scoring.parquet_units import parquet_names
from perennial.scoring.results import Dialect, Encoding, Format
from perennial.scoring.source import Source
from perennial.scoring.text import WIDE, text
from perennial.spec import ModelSpec

HEAD_BYTES = 1 << 20
_JSON_ARRAY = re.compile(rb"\[\s*[\[{\"\]\d-]")
_EMPTY_RECORD = re.compile(rb"^\s*\{\s*\}\s*$", re.MULTILINE)
_ENCRYPTED = b"PARE"
_BOM = b"\xef\xbb\xbf"
_WIDE_MARKS = (b"\xff\xfe", b"\xfe\xff")
_FOREIGN = {
    b"PK\x03\x04": ("is a zip archive or an Excel workbook", "Save it as CSV in UTF-8."),
    b"\xd0\xcf\x11\xe0": ("is an Excel workbook", "Save it as CSV in UTF-8."),
    b"\x1f\x8b": ("is packed by gzip twice", "Unpack it once."),
    b"BZh": ("is packed by bzip2", "Unpack it, or pack it with gzip."),
    b"\x28\xb5\x2f\xfd": ("is packed by Zstandard", "Unpack it, or pack it with gzip."),
    b"\xfd7zXZ": ("is packed by xz", "Unpack it, or pack it with gzip."),
    b"%PDF": ("is a PDF", "Give a CSV with a header, JSON Lines or Parquet."),
}
_SUFFIXES: dict[str, Format] = {
    ".csv": "csv", ".tsv": "csv", ".txt": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl",
    ".parquet": "parquet", ".pq": "parquet",
}  # fmt: skip
_CALLED = {"csv": "CSV", "jsonl": "JSON Lines", "parquet": "Parquet", "zip": "a zip", "picture": "a picture"}


def sniff(source: Source, spec: ModelSpec) -> Dialect:
    """Find out how a file is written.

    A name that says otherwise and an encoding that is not Unicode are warnings.

    Raises:
        DataError: it is empty, of a kind that is not read here, damaged, or has no header that can be read.
    """
    if spec.input == "image":
        from perennial.scoring.pictures.sniffing import sniff_pictures  # Pillow is imported where there are pictures

        found = sniff_pictures(source, spec, lambda: _sniff_table(source, spec))
    else:
        found = _sniff_table(source, spec)
    return found.model_copy(update={"warnings": (*found.warnings, *_misnamed(source.name, found))})


def _sniff_table(source: Source, spec: ModelSpec) -> Dialect:
    start = source.read(0, 8)
    if is_parquet(start) or _is_encrypted(source, start):
        return Dialect(format="parquet", names=parquet_names(source, spec))
    return _sniff_text(source, spec, gzip=is_gzip(start))


def _sniff_text(source: Source, spec: ModelSpec, *, gzip: bool) -> Dialect:
    head, wide, whole = _head(source, gzip=gzip)
    _check_kind(source.name, head, gzip=gzip)
    mark = len(_BOM) if head.startswith(_BOM) else 0
    encoding = wide or ("utf-8" if mark else encoding_of(head if whole else _whole_lines(head)))
    warnings: tuple[str, ...] = (WINDOWS_WARNING,) if encoding == "cp1252" else ()
    content = head[mark:].lstrip(b"\r\n\t ")
    if _JSON_ARRAY.match(content):
        raise DataError("is a JSON array.", file=source.name, remedy="Write one object a line, as JSON Lines.")
    if content[:1] == b"{":
        names = _json_names(source.name, content, spec)
        return Dialect(format="jsonl", gzip=gzip, encoding=encoding, names=names, body=mark, warnings=warnings)
    header = best_header(source.name, head[mark:], spec, encoding, whole=whole)
    body = mark + header.end
    return Dialect(
        format="csv", gzip=gzip, delimiter=header.delimiter, encoding=encoding, names=header.names, body=body,
        warnings=warnings,
    )  # fmt: skip


def _is_encrypted(source: Source, start: bytes) -> bool:
    """Whether it is Parquet with an encrypted footer. A CSV may begin so, but does not end so too."""
    return start[:4] == _ENCRYPTED and source.read(source.size - 4, source.size) == _ENCRYPTED


def _json_names(name: str, content: bytes, spec: ModelSpec) -> tuple[str, ...]:
    """Also the id, which may come up in later records only, and would be missed more than any other column."""
    names = jsonl_names(content)
    if not names and not _EMPTY_RECORD.search(content):
        raise DataError("begins with no JSON object on a line.", file=name, remedy="Write one object a line.")
    return names if spec.id is None or spec.id in names else (*names, spec.id)


def _head(source: Source, *, gzip: bool) -> tuple[bytes, Encoding | None, bool]:
    """The text's first bytes, which UTF-16 they were made of, and whether that is all of the text."""
    head, whole = _first(source, gzip=gzip)
    wide = next((wide for wide, mark in zip(WIDE, _WIDE_MARKS, strict=True) if head.startswith(mark)), None)
    if wide is not None:
        head, whole = _first(source, gzip=gzip, encoding=wide)
    return head, wide, whole


def _first(source: Source, *, gzip: bool, encoding: Encoding | None = None) -> tuple[bytes, bool]:
    stream = text(source, gzip=gzip, encoding=encoding, size=HEAD_BYTES)
    head = b""
    for chunk in stream:
        if len(head) >= HEAD_BYTES:
            return head, False
        head += chunk.data
    return head, True


def _whole_lines(head: bytes) -> bytes:
    """Without the last line, which may end within a character; a single one without such an end."""
    return head[: head.rfind(b"\n") + 1] or head.decode("utf-8", "ignore").encode() if not head.isascii() else head


def _check_kind(name: str, head: bytes, *, gzip: bool) -> None:
    if not head.removeprefix(_BOM).strip():
        raise DataError("is empty.", file=name, remedy="Give CSV with a header, JSON Lines or Parquet.")
    if gzip and is_parquet(head):
        raise DataError("is Parquet packed by gzip.", file=name, remedy="Unpack it: Parquet is packed by itself.")
    for mark, (what, remedy) in _FOREIGN.items():
        if head.startswith(mark):
            raise DataError(f"{what}.", file=name, remedy=remedy)
    if begins_as_picture(head):
        raise DataError(
            "is a picture, and this model takes tables.", file=name, remedy="Give CSV, JSON Lines or Parquet."
        )


def _misnamed(name: str, found: Dialect) -> list[str]:
    """What a name says that is not so."""
    suffixes = [suffix.lower() for suffix in PurePosixPath(name).suffixes]
    packed = suffixes[-1:] == [".gz"]
    said = _SUFFIXES.get((suffixes[:-1] if packed else suffixes)[-1:][0] if len(suffixes) > packed else "")
    is_so = said in (None, found.format) and (packed == found.gzip or not suffixes)
    held = _CALLED[found.format] + (" packed by gzip" if found.gzip else "")
    return [] if is_so else [f"It is named {''.join(suffixes[-2:] if packed else suffixes[-1:])} but holds {held}."]
