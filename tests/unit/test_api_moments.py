"""The quick ways to write a moment and an id, beside the plain ones."""

from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import example, given, settings
from hypothesis import strategies as st

from lambdas.api.trace import iso
from perennial.serving.ids import moment_of, uuid7

MOMENTS = st.one_of(
    st.floats(0, 4e9, allow_nan=False), st.integers(0, 4 * 10**12).map(lambda milliseconds: milliseconds / 1000)
)


@settings(derandomize=True, max_examples=300, deadline=None)
@given(MOMENTS)
@example(1_795_000_000.001)
@example(1_795_000_000.9999999)
@example(1_794_999_999.9999995)
def test_a_moment_reads_as_python_writes_it(seconds: float) -> None:
    assert iso(seconds) == datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")


@settings(derandomize=True, max_examples=300, deadline=None)
@given(MOMENTS, st.binary(min_size=10, max_size=10))
def test_an_id_has_the_bits_of_rfc_9562(seconds: float, random: bytes) -> None:
    """48 of time in milliseconds, 4 of version, 12 drawn, 2 of variant, 62 drawn."""
    drawn = int.from_bytes(random, "big")
    value = int(seconds * 1000) << 80 | 0x7 << 76 | drawn & (0xFFF << 64) | 0x2 << 62 | drawn & ~(-1 << 62)

    identifier = uuid7(seconds, random)

    assert int(identifier.replace("-", ""), 16) == value
    assert [len(part) for part in identifier.split("-")] == [8, 4, 4, 4, 12]
    assert moment_of(identifier) == datetime.fromtimestamp(int(seconds * 1000) / 1000, UTC)
