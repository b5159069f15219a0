"""Parquet: what Arrow reads whole, in units of bounded memory; what is damaged is told apart from what is not."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.parquet.encryption as pe
import pytest

from perennial.datasets.arrow import encode
from perennial.datasets.reading import RawFile, read_file
from perennial.datasets.validate import validate
from perennial.errors import DataError, StoreUnavailable
from perennial.scoring import parquet_file
from perennial.scoring.columns import encode_columns
from perennial.scoring.parquet_units import MAX_UNIT_ROWS, parquet_names, parquet_parts, parquet_units
from perennial.scoring.partitions import partition_values
from perennial.scoring.results import Dialect, Unit
from perennial.scoring.source import LocalSource, Source
from perennial.serving.batch_job import BatchPart
from perennial.spec import ModelSpec
from tests.support.models import MIXED, make_spec

SPEC = make_spec("mixed", "binary", MIXED)
ROWS = 1000


def mixed(rows: int = ROWS, first: int = 0) -> pa.Table:
    numbers = np.arange(first, first + rows)
    return pa.table(
        {
            "Age": pa.array(10 + numbers % 91),
            "CGPA": pa.array(numbers / 7, mask=numbers % 5 == 0),
            "Sleep Duration": pa.array([f"{1 + 2 * (2 + i % 2)}-{6 + 2 * (i % 2)} hours" for i in range(rows)]),
            "City": pa.array(["Pune", "Goa", "Rome"] * (rows // 3) + ["Pune"] * (rows % 3)),
            "Since": pa.array(numbers * 3_600_000_000, pa.timestamp("us")),
        }
    )


def as_bytes(table: pa.Table, **options: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, **options)
    return sink.getvalue()


class Bytes:
    """A file in memory that counts how it is read."""

    def __init__(self, data: bytes, name: str = "a.parquet") -> None:
        self.data, self.name, self.size = data, name, len(data)
        self.reads: list[tuple[int, int]] = []

    def read(self, start: int, end: int) -> bytes:
        self.reads.append((start, end))
        return self.data[start:end]


def units_of(source: Source, spec: ModelSpec = SPEC, part: BatchPart | None = None, **more: Any) -> Iterator[Unit]:
    return parquet_units(source, Dialect(format="parquet", names=parquet_names(source)), spec, part, **more)


def read_all(data: bytes | Source, spec: ModelSpec = SPEC, **more: Any) -> list[RawFile]:
    return [unit.read() for unit in units_of(Bytes(data) if isinstance(data, bytes) else data, spec, **more)]


def x_of(raws: Sequence[RawFile], spec: ModelSpec = SPEC) -> bytes:
    """Every row encoded, in order, to the bit: none may be refused."""
    encoded = [encode_columns(raw, spec) for raw in raws]
    assert all(one.reason is None for one in encoded)
    return np.concatenate([one.x for one in encoded]).tobytes()


def by_training(data: bytes, spec: ModelSpec = SPEC) -> bytes:
    """The same by the lane that training reads files in."""
    checked = validate(read_file("a.parquet", data), spec, labelled=False)
    assert not checked.refused
    return encode(checked.table, spec).tobytes()


@pytest.mark.parametrize("group", [11, 300, ROWS, MAX_UNIT_ROWS])
@pytest.mark.parametrize("ahead", [0, 32 << 20])
def test_rows_are_those_of_the_lane_that_training_uses(group: int, ahead: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet_file, "AHEAD_BYTES", ahead)
    data = as_bytes(mixed(), row_group_size=group)
    assert x_of(read_all(data)) == by_training(data)


def test_units_are_bounded_in_rows_and_in_bytes_and_tell_how_far_they_are() -> None:
    data = as_bytes(mixed(100_000), row_group_size=70_000)
    units = list(units_of(Bytes(data)))
    sizes = [len(unit.read().rows) for unit in units]
    assert sum(sizes) == 100_000 and max(sizes) == MAX_UNIT_ROWS
    ends = [unit.end for unit in units]
    assert ends == sorted(ends) and 0 < ends[0] < ends[-1] == len(data)
    wide = pa.table(
        {**{name: mixed(300).column(name) for name in MIXED}, "note": ["x" * 60_000 + str(i) for i in range(300)]}
    )
    assert max(len(raw.rows) for raw in read_all(as_bytes(wide, compression="none"))) < 200
    assert len(read_all(as_bytes(wide, compression="none"), keep=False)) == 1


def test_memory_is_bounded_whatever_the_size_of_a_row_group(tmp_path: Path) -> None:
    rows = 1_200_000
    place = tmp_path / "one.parquet"
    numbers = np.random.default_rng(0).normal(size=rows)
    names = [f"n{i}" for i in range(10)]
    pq.write_table(pa.table(dict.fromkeys(names, numbers)), place, row_group_size=rows, use_dictionary=False)
    spec = make_spec("wide", "regression", {name: {"type": "number"} for name in names})
    assert pq.ParquetFile(place).metadata.num_row_groups == 1
    before, most, seen = pa.total_allocated_bytes(), 0, 0
    for unit in units_of(LocalSource(place), spec):
        seen += len(unit.read().rows)
        most = max(most, pa.total_allocated_bytes() - before)
    assert seen == rows
    assert rows * 10 * 8 > 90_000_000
    assert most < 60_000_000


def test_a_small_row_group_is_fetched_at_once_and_only_what_is_needed_of_it() -> None:
    source = Bytes(as_bytes(mixed(9000), row_group_size=3000))
    units = units_of(source)
    opened = len(source.reads)
    list(units)
    assert len(source.reads) - opened <= 3 + 1 + 3  # one a row group, one to see how wide rows are, what opening takes
    notes = pa.array([str(i) * 400 for i in range(3000)])
    source = Bytes(as_bytes(mixed(3000).append_column("note", notes).select(["note", *MIXED]), compression="none"))
    list(units_of(source, keep=False))
    assert sum(end - start for start, end in source.reads) < source.size / 2


def test_parts_are_row_groups_with_exact_rows(tmp_path: Path) -> None:
    table = mixed(1050)
    data = as_bytes(table, row_group_size=100)
    whole = x_of(read_all(data))
    size = len(data)
    for part_bytes in (1, size // 5, size // 2, size):
        parts = parquet_parts(Bytes(data), part_bytes)
        assert [part.number for part in parts] == list(range(len(parts)))
        assert [part.start for part in parts] == [0, *(part.end for part in parts[:-1])] and parts[-1].end == 11
        assert [part.first for part in parts] == np.cumsum([0, *(part.rows for part in parts)])[:-1].tolist()
        raws = [read_all(Bytes(data), part=part) for part in parts]
        assert [sum(len(raw.rows) for raw in some) for some in raws] == [part.rows for part in parts]
        assert x_of([raw for some in raws for raw in some]) == whole
    assert [len(parquet_parts(Bytes(data), n)) for n in (1, size, size * 2 // 3 + 1, size * 2 // 3 - 1)] == [
        11,
        1,
        1,
        2,
    ]
    ends = [unit.end for unit in units_of(Bytes(data), part=BatchPart(number=1, start=4, end=6, first=400, rows=200))]
    assert ends == [5, 6]


def test_no_rows_and_no_row_groups_are_no_units() -> None:
    for rows in (0, 1):
        sink = io.BytesIO()
        with pq.ParquetWriter(sink, mixed().schema) as writer:
            if rows:
                writer.write_table(mixed().slice(0, 0))
        assert read_all(sink.getvalue()) == []
        assert [(part.first, part.rows) for part in parquet_parts(Bytes(sink.getvalue()), 100)] == [(0, 0)]


KINDS: dict[str, tuple[str, pa.Array]] = {
    "int8": ("Age", pa.array([33, 34], pa.int8())),
    "uint64": ("Age", pa.array([33, 34], pa.uint64())),
    "float16": ("Age", pa.array(np.array([33, 34], np.float16))),
    "float32": ("Age", pa.array([33, 34], pa.float32())),
    "decimal": ("Age", pa.array([Decimal("33.00"), Decimal(34)], pa.decimal128(10, 2))),
    "decimal32": ("Age", pa.array([Decimal("33.0"), Decimal(34)], pa.decimal32(5, 1))),
    "numbers as text": ("Age", pa.array(["33", " 34.0 "])),
    "numbers as dictionary": ("Age", pa.array([33, 34]).dictionary_encode()),
    "bool8": ("CGPA", pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0], pa.int8()))),
    "null": ("CGPA", pa.nulls(2)),
    "large_string": ("City", pa.array(["Pune", "Rome"], pa.large_string())),
    "string_view": ("City", pa.array(["Pune", "Rome"], pa.string_view())),
    "dictionary": ("City", pa.array(["Pune", "Rome"]).dictionary_encode()),
    "dictionary of large_string": ("City", pa.array(["Pune", "Rome"], pa.large_string()).dictionary_encode()),
    "json extension": ("City", pa.array(["Pune", "Rome"], pa.json_())),
    "integers as categories": ("City", pa.array([1, 2])),
    "timestamp in nanoseconds": ("Since", pa.array([0, 86_400_000_000_001], pa.timestamp("ns"))),
    "timestamp with zone": ("Since", pa.array([0, 86_400_000_000], pa.timestamp("us", "Europe/Berlin"))),
    "date32": ("Since", pa.array([0, 1], pa.date32())),
    "dates as text": ("Since", pa.array(["2026-11-21", None])),
}


@pytest.mark.parametrize("kind", KINDS)
def test_types_mean_what_they_mean_in_training(kind: str) -> None:
    name, column = KINDS[kind]
    table = mixed(2)
    data = as_bytes(table.set_column(table.schema.names.index(name), name, column))
    assert x_of(read_all(data)) == by_training(data)


def test_moments_before_and_beyond_nanoseconds_are_read_from_the_old_format() -> None:
    moments = [datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, tzinfo=UTC)]
    table = mixed(2).set_column(4, "Since", pa.array(moments, pa.timestamp("us")))
    data = as_bytes(table, use_deprecated_int96_timestamps=True)
    assert x_of(read_all(data)) == by_training(as_bytes(table))


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[1], [2]]),
        pa.array([{"a": 1}, {"a": 2}]),
        pa.array([[("a", 1)], []], pa.map_(pa.string(), pa.int64())),
        pa.array([b"a", b"b"]),
        pa.array([b"a" * 16] * 2, pa.uuid()),
    ],
    ids=["list", "struct", "map", "bytes", "uuid"],
)
def test_a_nested_column_is_fine_unless_the_model_needs_it(column: pa.Array) -> None:
    table = mixed(2)
    beside = as_bytes(table.append_column("more", column))
    for keep in (False, True):
        assert x_of(read_all(beside, keep=keep)) == by_training(as_bytes(table))
    assert len(read_all(beside, keep=["more"])[0].columns["more"]) == 2
    needed = as_bytes(table.set_column(1, "CGPA", column))
    with pytest.raises(DataError, match="column 'CGPA': holds no single values but") as raised:
        next(units_of(Bytes(needed)))
    assert raised.value.column == "CGPA"


def test_only_what_is_needed_or_kept_is_read() -> None:
    table = mixed(3).append_column("who", pa.array(["a", "b", "c"])).append_column("more", pa.array([1, 2, 3]))
    spec = SPEC.model_copy(update={"id": "who"})
    by_keep = {keep: set(read_all(as_bytes(table), spec, keep=keep)[0].columns) for keep in (False, True, ("more",))}
    assert by_keep == {False: {*MIXED, "who"}, True: {*MIXED, "who", "more"}, ("more",): {*MIXED, "who", "more"}}


def test_names_are_trimmed_and_may_look_like_paths_or_stand_there_twice() -> None:
    table = mixed(2).rename_columns([" Age ", "CGPA", "Sleep Duration", "City", "Since"])
    table = table.append_column("City.name", pa.array(["x", "y"])).append_column("more", pa.array([1, 2]))
    twice = table.append_column("more", pa.array([3, 4]))
    data = as_bytes(twice)
    assert parquet_names(Bytes(data)) == (*MIXED, "City.name", "more", "more")
    raws = read_all(data)
    assert x_of(raws) == by_training(as_bytes(mixed(2)))
    assert raws[0].columns["City.name"].to_pylist() == ["x", "y"]
    assert raws[0].columns["more"].to_pylist() == [1, 2]


def test_a_file_without_any_column_of_the_model_has_its_rows() -> None:
    raws = read_all(as_bytes(pa.table({"more": range(10)})), keep=False)
    assert [(len(raw.rows), dict(raw.columns)) for raw in raws] == [(10, {})]


def test_values_in_the_place_of_a_file_are_columns_of_it() -> None:
    place = "landing/City=Goa/Since=2026-11-21%2008%3A30/CGPA=__HIVE_DEFAULT_PARTITION__/Age=5/other=1/part=x.parquet"
    assert partition_values(place)["Since"] == "2026-11-21 08:30"
    table = mixed(3).drop(["City", "Since", "CGPA"])
    source = Bytes(as_bytes(table), place)
    names = parquet_names(source, SPEC)
    assert names == ("Age", "Sleep Duration", "City", "Since", "CGPA")
    raw = read_all(source)[0]
    assert raw.header.names == names
    full = table.append_column("City", pa.array(["Goa"] * 3)).append_column("Since", pa.array(["2026-11-21T08:30"] * 3))
    full = full.append_column("CGPA", pa.nulls(3, pa.float64()))
    assert x_of([raw]) == by_training(as_bytes(full))
    assert raw.columns["Age"].to_pylist() == [10, 11, 12]  # what the file says counts
    kept = SPEC.model_copy(update={"batch": SPEC.batch.model_copy(update={"keep": ("other",)})})
    assert "other" in parquet_names(source, kept)
    assert read_all(source, kept)[0].columns["other"].to_pylist() == ["1"] * 3


def damaged(data: bytes, group: int, column: int = 0, *, at: float = 0.5) -> bytes:
    """The file with some bytes of a column of a row group flipped."""
    chunk = pq.ParquetFile(io.BytesIO(data)).metadata.row_group(group).column(column)
    start = chunk.data_page_offset + int((chunk.total_compressed_size - 16) * at)
    return data[:start] + bytes(byte ^ 0xFF for byte in data[start : start + 16]) + data[start + 16 :]


@pytest.mark.parametrize(("group", "lost"), [(0, (1, 100)), (4, (401, 500)), (10, (1001, 1050))])
def test_a_damaged_row_group_loses_its_rows_and_no_others(group: int, lost: tuple[int, int]) -> None:
    table = mixed(1050)
    data = damaged(as_bytes(table, row_group_size=100, write_page_checksum=True), group)
    units = list(units_of(Bytes(data)))
    raws = [unit.read() for unit in units]
    assert sum(len(raw.rows) + len(raw.malformed) for raw in raws) == 1050
    bad = [raw for raw in raws if raw.malformed]
    assert [(len(raw.malformed), raw.malformed[0].row) for raw in bad] == [(lost[1] - lost[0] + 1, 1)]
    assert {one.reason for one in bad[0].malformed} == {f"lies in row group {group + 1}, which is damaged"}
    good = pa.concat_tables([table.slice(0, lost[0] - 1), table.slice(lost[1])])
    assert x_of([raw for raw in raws if not raw.malformed]) == by_training(as_bytes(good))
    warnings = [warning for unit in units for warning in unit.warnings]
    assert len(warnings) == 1
    assert warnings[0].startswith(f"Row group {group + 1} of 11 is damaged from row {lost[0]:,} on (")
    assert units[-1].end == len(data)


@pytest.mark.parametrize("compression", ["snappy", "zstd", "gzip"])
def test_damage_in_the_midst_of_a_row_group_leaves_what_is_before_it(compression: str) -> None:
    rows = MAX_UNIT_ROWS * 2 + 5
    table = mixed(rows)
    options = {"row_group_size": rows, "data_page_size": 10_000, "compression": compression, "use_dictionary": False}
    data = damaged(as_bytes(table, write_page_checksum=True, **options), 0, 1, at=0.7)
    raws = read_all(data)
    counts = [(len(raw.rows), len(raw.malformed)) for raw in raws]
    scored = sum(good for good, _ in counts)
    assert 0 < scored < rows
    assert sum(bad for _, bad in counts) == rows - scored
    assert max(bad for _, bad in counts) <= MAX_UNIT_ROWS
    assert x_of([raw for raw in raws if not raw.malformed]) == by_training(as_bytes(table.slice(0, scored)))


def test_any_flipped_bytes_end_in_rows_or_in_a_reason() -> None:
    data = as_bytes(mixed(300), row_group_size=100, write_page_checksum=True)
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(150):
        place = int(rng.integers(4, len(data) - 8))
        broken = data[:place] + bytes([data[place] ^ int(rng.integers(1, 256))]) + data[place + 1 :]
        try:
            raws = read_all(broken)
        except DataError as error:
            outcomes.add("refused")
            assert str(error).startswith("a.parquet")
            continue
        counted = [(len(raw.rows), len(raw.malformed)) for raw in raws]
        rows = pq.ParquetFile(io.BytesIO(broken)).metadata.num_rows
        assert sum(good + bad for good, bad in counted) == rows
        outcomes.add("damaged" if any(bad for _, bad in counted) else "whole")
    assert outcomes == {"refused", "damaged", "whole"}


@pytest.mark.parametrize("cut", ["footer", "end", "middle", "magic", "length"])
def test_a_damaged_footer_is_a_reason(cut: str) -> None:
    data = as_bytes(mixed(100))
    broken = {
        "footer": data[:-100] + bytes(50) + data[-50:],
        "end": data[:-4] + b"PARX",
        "middle": data[: len(data) // 2],
        "magic": b"PAR1",
        "length": data[:-8] + b"\xff\xff\xff\x7fPAR1",
    }[cut]
    for call in (parquet_names, lambda source: parquet_parts(source, 100)):
        with pytest.raises(DataError, match=r"a.parquet: is damaged Parquet\."):
            call(Bytes(broken))


class Keys(pe.KmsClient):  # type: ignore[misc]
    def wrap_key(self, key_bytes: bytes, master_key_identifier: str) -> bytes:
        return key_bytes

    def unwrap_key(self, wrapped_key: bytes, master_key_identifier: str) -> bytes:
        return wrapped_key


@pytest.mark.parametrize("plaintext_footer", [False, True])
def test_an_encrypted_file_is_a_reason(plaintext_footer: bool) -> None:
    table = mixed(100)
    config = pe.EncryptionConfiguration(
        footer_key="k", column_keys={"k": ["Age"]}, plaintext_footer=plaintext_footer, double_wrapping=False
    )
    properties = pe.CryptoFactory(lambda _: Keys()).file_encryption_properties(pe.KmsConnectionConfig(), config)
    sink = io.BytesIO()
    with pq.ParquetWriter(sink, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    with pytest.raises(DataError, match=r"a.parquet: is encrypted\. Write it without encryption\."):
        list(units_of(Bytes(sink.getvalue())))


def test_more_rows_than_a_file_can_hold_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = as_bytes(pa.table({"Age": pa.repeat(33, 2_000_000)}))
    monkeypatch.setattr(parquet_file, "FREE_ROWS", 1_000_000)
    monkeypatch.setattr(parquet_file, "MAX_ROWS_PER_BYTE", 10)
    with pytest.raises(DataError, match="claims 2,000,000 rows, more than 10 a byte"):
        parquet_names(Bytes(data))


def test_a_source_that_does_not_answer_is_no_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    class Gone(Bytes):
        gone = False

        def read(self, start: int, end: int) -> bytes:
            if self.gone:
                raise StoreUnavailable("S3 does not answer.")
            return super().read(start, end)

    for ahead in (32 << 20, 0):
        monkeypatch.setattr(parquet_file, "AHEAD_BYTES", ahead)
        source = Gone(as_bytes(mixed(300_000), row_group_size=100_000))
        units = units_of(source)
        next(units)
        source.gone = True
        with pytest.raises(StoreUnavailable):
            list(units)
