"""Gzip as a stream: every way it is written, and an end to what may come out of it."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.errors import DataError
from perennial.scoring import gunzip
from perennial.scoring.gunzip import gunzipped
from tests.support.sources import BytesSource


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.integers(1, 64), st.integers(1, 50))
def test_all_members_come_out_in_pieces_of_one_size(members: list[bytes], size: int, read: int) -> None:
    source = BytesSource(b"".join(map(packed, members)) + b"\x00" * (read % 7))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(gunzip, "READ_BYTES", read)
        chunks = list(gunzipped(source, size))
    assert b"".join(chunk.data for chunk in chunks) == b"".join(members)
    assert all(len(chunk.data) == size for chunk in chunks[:-1])
    ends = [chunk.end for chunk in chunks]
    assert ends == sorted(ends)
    assert not ends or ends[-1] <= source.size


@pytest.mark.parametrize("kept", [3, 12, 200, -9, -1])
def test_a_file_that_ends_too_early_is_damaged(kept: int) -> None:
    data = packed(b"".join(b"%d,%d\n" % (i, i * i) for i in range(500)))
    with pytest.raises(DataError, match=r"people.csv: is damaged gzip\. Compress or transfer it again"):
        list(gunzipped(BytesSource(data[:kept]), 1000))


def test_what_is_no_gzip_behind_gzip_is_damage() -> None:
    with pytest.raises(DataError, match="damaged gzip"):
        list(gunzipped(BytesSource(packed(b"1,2\n") + b"3,4\n"), 1000))


def test_a_wrong_checksum_is_damage() -> None:
    data = bytearray(packed(b"1,2\n" * 50))
    data[-6] ^= 1
    with pytest.raises(DataError, match="damaged gzip"):
        list(gunzipped(BytesSource(bytes(data)), 1000))


def test_a_bomb_ends_long_before_it_is_unpacked() -> None:
    source = BytesSource(packed(bytes(200_000_000)))
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match="over 250 times its size, as a gzip bomb does"):
            for _ in gunzipped(source, 4 << 20):
                pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 40_000_000


def test_what_packs_well_is_no_bomb() -> None:
    data = b"".join(b"%07d,0,0,0\n" % i for i in range(1_300_000))
    assert zlib.crc32(b"".join(chunk.data for chunk in gunzipped(BytesSource(packed(data)), 4 << 20))) == zlib.crc32(
        data
    )


def test_there_is_an_end_to_what_comes_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gunzip, "MAX_UNPACKED_BYTES", 1000)
    with pytest.raises(DataError, match="unpacks to over 1,000 bytes"):
        list(gunzipped(BytesSource(packed(b"1,2\n" * 300)), 100))
    assert sum(len(chunk.data) for chunk in gunzipped(BytesSource(packed(b"1,2\n" * 250)), 100)) == 1000
