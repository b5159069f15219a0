"""Zip archives from strangers: read as the standard library reads them, and never more of them than is allowed."""

from __future__ import annotations

import io
import random
import struct
import tracemalloc
import warnings
import zipfile
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.errors import DataError
from perennial.images.decode import MAX_BYTES
from perennial.scoring.pictures import archive, zip_directory
from perennial.scoring.pictures.archive import Window, fetching, look_through, name_of, rows_of
from perennial.scoring.pictures.rows import Unusable
from perennial.scoring.pictures.zip_directory import MAX_DIRECTORY_BYTES, entries_of, find_directory
from perennial.scoring.pictures.zip_entry import ZipEntry, unpacked
from perennial.scoring.source import BytesSource

END = struct.Struct("<4s4H2LH")


def packed(files: Iterable[tuple[str, bytes]], method: int = zipfile.ZIP_DEFLATED, *, comment: bytes = b"") -> bytes:
    sink = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(sink, "w", method) as file:
        warnings.simplefilter("ignore")  # of names that stand there twice
        for name, data in files:
            file.writestr(name, data)
        file.comment = comment
    return sink.getvalue()


def source(data: bytes) -> BytesSource:
    return BytesSource("a.zip", data)


def contents(data: bytes) -> list[tuple[str, bytes]]:
    """All entries, as they are unpacked here."""
    whole = source(data)
    found = entries_of(whole, find_directory(whole))
    return [(name_of(entry), unpacked(entry, whole.read)) for entry in found]


def reason(data: bytes, place: int = 0) -> str:
    """Why an entry is not given."""
    whole = source(data)
    entry = list(entries_of(whole, find_directory(whole)))[place]
    with pytest.raises(Unusable) as raised:
        unpacked(entry, whole.read)
    return raised.value.reason


def changed(data: bytes, at: int, by: bytes) -> bytes:
    return data[:at] + by + data[at + len(by) :]


def central(data: bytes) -> int:
    """Where the directory begins."""
    return data.index(b"PK\x01\x02")


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\x00/\\"), min_size=1, max_size=20)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    files=st.lists(st.tuples(NAMES, st.binary(max_size=300)), max_size=8),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED]),
    comment=st.binary(max_size=40),
    before=st.binary(max_size=20),
    chunk=st.integers(1, 200),
)
def test_what_the_standard_library_writes_is_read_the_same(
    files: list[tuple[str, bytes]], method: int, comment: bytes, before: bytes, chunk: int
) -> None:
    """Any names, also twice; stored and deflated; a comment behind it and a program in front; in chunks of any size."""
    files = [(name, data) for name, data in files if not data.startswith(b"PK\x03\x04")]
    if b"PK\x05\x06" in comment:
        comment = b""
    written = before + packed(files, method, comment=comment)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(zip_directory, "CHUNK_BYTES", chunk)
        found = contents(written)
    with zipfile.ZipFile(io.BytesIO(written)) as file:
        assert [data for _, data in found] == [file.read(one) for one in file.infolist()]
        assert len(found) == len(files)
    assert [name for name, _ in found] == [archive._UNSEEN.sub("\ufffd", name) for name, _ in files]


@pytest.mark.parametrize("before", [b"", b"a program in front"])
def test_the_end_of_a_large_archive_is_read(before: bytes) -> None:
    """Its number of entries and its places in 64 bits, as in archives of over 4 GB or 65,535 entries."""
    data = packed([("a.png", b"picture"), ("b.png", b"other")])
    start, end = central(data), len(data) - END.size
    large = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 2, 2, end - start, start)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, end, 1)
    last = END.pack(b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    written = before + data[:end] + large + locator + last
    assert contents(written) == [("a.png", b"picture"), ("b.png", b"other")]
    with zipfile.ZipFile(io.BytesIO(written)) as file:
        assert file.namelist() == ["a.png", "b.png"]


def test_sizes_in_the_extra_field_are_taken_in_their_order() -> None:
    data = packed([("a.png", b"picture")], zipfile.ZIP_STORED)
    start, size = central(data), len(b"picture")
    record = data[start : start + 46 + 5]
    extra = struct.pack("<2H3Q", 1, 24, size, size, 0)
    full = struct.pack("<2L", 0xFFFFFFFF, 0xFFFFFFFF)
    record = changed(changed(changed(record, 20, full), 30, struct.pack("<H", len(extra))), 42, b"\xff\xff\xff\xff")
    end = END.pack(b"PK\x05\x06", 0, 0, 1, 1, len(record) + len(extra), start, 0)
    assert contents(data[:start] + record + extra + end) == [("a.png", b"picture")]
    with pytest.raises(DataError, match="an entry without a size"):
        contents(data[:start] + changed(record, 30, b"\x00\x00") + changed(end, 12, struct.pack("<L", len(record))))


class TestRefusedAsAWhole:
    def test_no_end(self) -> None:
        data = packed([("a.png", b"x" * 500)])
        for cut in (len(data) - 1, len(data) // 2, 30, 4):
            with pytest.raises(DataError, match="damaged zip"):
                look_through(source(data[:cut]))

    def test_ten_million_entries(self) -> None:
        """Nothing of the directory is read where the end of the archive tells of so many."""
        end = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 10_000_000, 10_000_000, 460_000_000, 0)
        end += struct.pack("<4sLQL", b"PK\x06\x07", 0, 460_000_000, 1)
        end += END.pack(b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)

        class Huge:
            name, size = "huge.zip", 460_000_000 + len(end)

            def read(self, start: int, stop: int) -> bytes:
                assert start > 459_000_000
                return (b"\x00" * (460_000_000 - start) + end)[: stop - start]

        with pytest.raises(DataError, match="10,000,000 entries or more, of at most 100,000"):
            look_through(Huge())

    def test_a_directory_that_lies_of_its_entries_is_read_in_bounded_memory(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It tells of one entry and holds a million, 47 MB of them: no more than are allowed are ever looked at."""
        record = packed([("a", b"")])
        record = record[central(record) : central(record) + 47]
        directory = record * 1_000_000
        assert len(directory) < MAX_DIRECTORY_BYTES
        data = directory + END.pack(b"PK\x05\x06", 0, 0, 1, 1, len(directory), 0, 0)
        whole = source(data)
        monkeypatch.setattr(zip_directory, "MAX_ENTRIES", 5_000)
        tracemalloc.start()
        try:
            with pytest.raises(DataError, match="5,001 entries or more"):
                look_through(whole)
            assert tracemalloc.get_traced_memory()[1] < 10_000_000
        finally:
            tracemalloc.stop()

    def test_a_huge_directory(self) -> None:
        end = END.pack(b"PK\x05\x06", 0, 0, 1, 1, MAX_DIRECTORY_BYTES + 1, 0, 0)
        with pytest.raises(DataError, match="directory of 67,108,865 bytes"):
            look_through(source(b"\x00" * 100 + end))

    @pytest.mark.parametrize("entries", [0, 1, 3])
    def test_another_number_of_entries_than_it_says(self, entries: int) -> None:
        data = packed([("a.png", b"1"), ("b.png", b"2")])
        lying = changed(data, len(data) - 14, struct.pack("<2H", entries, entries))
        with pytest.raises(DataError, match=f"has 2 entries and tells of {entries}"):
            look_through(source(lying))

    def test_damage_anywhere_ends_in_words(self) -> None:
        """Each byte of the directory and its end in turn, and many at random: read, refused in words, or unusable."""
        data = packed([(f"{place}.png", bytes([place]) * 40) for place in range(4)])
        chance = random.Random(3)
        for at in range(len(data)):
            for by in (0, 0xFF, chance.randrange(256)):
                broken = changed(data, at, bytes([by]))
                try:
                    look_through(source(broken))
                    whole = source(broken)
                    for entry in rows_of(whole):
                        fetching(entry, Window(whole, 0, whole.size))()
                except (DataError, Unusable):
                    continue

    def test_overlapping_entries(self) -> None:
        """A bomb whose entries are all the same bytes."""
        data = packed([("a.png", random.Random(1).randbytes(5000))])
        start = central(data)
        record = data[start : start + 46 + 5]
        end = END.pack(b"PK\x05\x06", 0, 0, 100, 100, len(record) * 100, start, 0)
        with pytest.raises(DataError, match="overlap, as a zip bomb does"):
            look_through(source(data[:start] + record * 100 + end))

    def test_more_than_a_hundred_times_its_size(self) -> None:
        data = packed([("a.png", b"\x00" * 60_000_000), ("b.png", b"\x00" * 60_000_000)])
        with pytest.raises(DataError, match="over 100 times its size, as a zip bomb does"):
            look_through(source(data))

    def test_more_than_may_be_unpacked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 10_000)
        with pytest.raises(DataError, match="unpacks to over 10,000 bytes"):
            look_through(source(packed([("a.png", b"x" * 10_001)])))

    def test_encrypted(self) -> None:
        with pytest.raises(DataError, match="is encrypted"):
            look_through(source(encrypted(packed([("a.png", b"x")]))))

    def test_a_document(self) -> None:
        with pytest.raises(DataError, match="document of an office program"):
            look_through(source(packed([("[Content_Types].xml", b"<x/>"), ("word/a.xml", b"<x/>")])))

    def test_one_volume_of_several(self) -> None:
        data = packed([("a.png", b"x")])
        with pytest.raises(DataError, match="one volume of several"):
            look_through(source(changed(data, len(data) - 18, b"\x01\x00")))
        with pytest.raises(DataError, match="one volume of several"):
            look_through(source(changed(data, central(data) + 34, b"\x01\x00")))


def encrypted(data: bytes) -> bytes:
    """The archive as if its first entry were encrypted."""
    return changed(changed(data, 6, b"\x01\x00"), central(data) + 8, b"\x01\x00")


class TestRefusedAlone:
    """One entry; the others are not concerned."""

    def test_encrypted(self) -> None:
        data = encrypted(packed([("a.png", b"x"), ("b.png", b"y")]))
        assert reason(data) == "is encrypted"
        assert look_through(source(data)).rows == 2

    def test_an_archive_within(self) -> None:
        assert "archive within the archive" in reason(packed([("inner.zip", packed([("a.png", b"x")]))]))

    def test_larger_than_a_picture_may_be(self) -> None:
        assert reason(packed([("a.bmp", b"\x00" * (MAX_BYTES + 1))])) == "has 20,000,001 bytes, of at most 20,000,000"

    def test_larger_than_the_directory_says(self) -> None:
        """No more than it said is ever unpacked."""
        data = packed([("a.bmp", b"\x00" * 15_000_000)])
        lying = changed(data, central(data) + 24, struct.pack("<L", 1000))
        tracemalloc.start()
        try:
            assert reason(lying) == "is larger than the 1,000 bytes that the archive's directory says"
            assert tracemalloc.get_traced_memory()[1] < 1_000_000
        finally:
            tracemalloc.stop()

    @pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_packed_in_another_way(self, method: int) -> None:
        assert reason(packed([("a.png", b"x" * 99)], method)).startswith("is packed by ")

    def test_damaged(self) -> None:
        data = packed([("a.png", b"picture" * 9)], zipfile.ZIP_STORED)
        assert "checksum" in reason(data.replace(b"picture", b"pictury", 1))
        assert "damaged" in reason(changed(packed([("a.png", random.Random(1).randbytes(99))]), 40, b"\xff\xff\xff"))

    def test_elsewhere_than_the_directory_says(self) -> None:
        data = packed([("a.png", b"x"), ("b.png", b"y")], zipfile.ZIP_STORED)
        second = data.index(b"PK\x01\x02", central(data) + 1)
        assert "another name" in reason(changed(data, second + 42, struct.pack("<L", 0)), 1)
        assert "not where" in reason(changed(data, second + 42, struct.pack("<L", 9)), 1)
        assert "not where" in reason(changed(data, second + 42, struct.pack("<L", len(data) + 9)), 1)

    def test_cut_short(self) -> None:
        data = packed([("a.png", b"x" * 50)], zipfile.ZIP_STORED)
        whole = source(data)
        (entry,) = entries_of(whole, find_directory(whole))
        with pytest.raises(Unusable, match="is cut short"):
            unpacked(entry._replace(packed=len(data)), whole.read)

    def test_a_name_without_end(self) -> None:
        data = packed([("n" * 2000 + ".png", b"x")])
        (entry,) = rows_of(source(data))
        with pytest.raises(Unusable, match="a name of over 1,000 characters"):
            fetching(entry, Window(source(data), 0, 0))()
        assert len(archive.shown_name(entry)) == 100


class TestNames:
    def test_what_is_a_row(self) -> None:
        names = [
            "a/",
            "a/b.png",
            "__MACOSX/a/._b.png",
            ".DS_Store",
            "a/.hidden/c.png",
            "Thumbs.db",
            "x.txt",
            "../up.png",
        ]
        data = packed((name, b"") for name in names)
        assert [name_of(entry) for entry in rows_of(source(data))] == ["a/b.png", "x.txt", "../up.png"]
        found = look_through(source(data))
        assert (found.rows, found.passed) == (3, 4)

    @pytest.mark.parametrize(
        ("name", "is_unicode", "shown"),
        [
            ("löwe.png".encode(), True, "löwe.png"),
            ("löwe.png".encode(), False, "löwe.png"),
            ("löwe.png".encode("cp437"), False, "löwe.png"),
            (b"l\xffwe.png", True, "l\ufffdwe.png"),
            (b"a\nb\x7f.png", False, "a\ufffdb\ufffd.png"),
            (b"a.png\x00.exe", False, "a.png"),
        ],
    )
    def test_they_are_only_shown(self, name: bytes, is_unicode: bool, shown: str) -> None:
        assert name_of(ZipEntry(name, is_unicode, 0, 0, 0, 0, 0, 0)) == shown
