"""Native libraries, by their ELF headers: for which processor and C library they are, and what in them only tools read.

After the ELF specification (System V ABI, chapters 4 and 5) and, for versions of symbols, section 10.7 of the LSB. A
loader goes by the program header alone, so what no segment holds can go: section headers, tables of symbols, debugging.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from itertools import pairwise

from perennial.errors import DeployError

MAGIC = b"\x7fELF"
AARCH64, X86_64 = 183, 62
_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_LOAD, _DYNAMIC = 1, 2
_NEEDED, _STRTAB, _VERNEED, _VERNEEDNUM = 1, 5, 0x6FFFFFFE, 0x6FFFFFFF


@dataclass(frozen=True)
class Segment:
    """A part of a file: where it lies there, and where in memory; ``kind`` is 1 where it is loaded."""

    kind: int
    flags: int
    offset: int
    address: int
    physical: int
    size: int
    memory: int
    align: int

    @property
    def end(self) -> int:
        return self.offset + self.size

    def pack(self) -> bytes:
        return _SEGMENT.pack(*vars(self).values())


class Elf:
    """A shared library of a 64-bit little-endian machine.

    Raises:
        DeployError: the bytes are none; says so of ``name``.
    """

    def __init__(self, data: bytes, name: str) -> None:
        if data[:6] != MAGIC + b"\x02\x01" or len(data) < _HEADER.size:
            raise DeployError(f"{name}: is no 64-bit little-endian ELF file.")
        self._data, self._name = data, name
        self._header = list(_HEADER.unpack_from(data))
        self._table, size, count = self._header[5], self._header[9], self._header[10]
        if size != _SEGMENT.size or self._table + size * count > len(data):
            raise DeployError(f"{name}: its program header is damaged.")
        self.segments = [Segment(*_SEGMENT.unpack_from(data, self._table + size * place)) for place in range(count)]
        if any(segment.end > len(data) for segment in self.segments if segment.kind == _LOAD):
            raise DeployError(f"{name}: ends before its last segment.")

    @property
    def machine(self) -> int:
        """The processor: ``AARCH64``, ``X86_64`` or another number of ``e_machine``."""
        return int(self._header[2])

    def libraries(self) -> tuple[str, ...]:
        """Names of the libraries it is linked to."""
        entries = self._dynamic()
        strings = self._offset(dict(entries).get(_STRTAB, 0))
        return tuple(self._text(strings + value) for tag, value in entries if tag == _NEEDED)

    def versions(self) -> frozenset[str]:
        """Versions of symbols that it needs of other libraries, such as ``GLIBC_2.28``."""
        entries = dict(self._dynamic())
        if _VERNEED not in entries:
            return frozenset()
        strings, place, found = self._offset(entries[_STRTAB]), self._offset(entries[_VERNEED]), set()
        for _ in range(entries[_VERNEEDNUM]):
            _, count, _, first, following = struct.unpack_from("<HHIII", self._data, place)
            needed = place + first
            for _ in range(count):
                _, _, _, name, next_needed = struct.unpack_from("<IHHII", self._data, needed)
                found.add(self._text(strings + name))
                needed += next_needed
            place += following
        return frozenset(found)

    def slim(self) -> bytes:
        """The same library without what no segment holds. A segment is moved by whole pages, as loaders demand."""
        loads = sorted({s for s in self.segments if s.kind == _LOAD and s.size}, key=lambda s: s.offset)
        if not loads or any(after.offset < before.end for before, after in pairwise(loads)):
            return self._data
        moved, free = {}, 0
        for load in loads:
            page = max(load.align, 1)
            moved[load] = load.offset - (load.offset - free) // page * page if load.offset > free else load.offset
            free = moved[load] + load.size
        table = self._moved(self._table, loads, moved)
        if table is None or any(self._moved(s.offset, loads, moved) is None for s in self.segments if s.size):
            return self._data  # something is loaded from a place of its own: leave it alone
        slim = bytearray(free)
        for load in loads:
            slim[moved[load] : moved[load] + load.size] = self._data[load.offset : load.end]
        segments = [replace(s, offset=self._moved(s.offset, loads, moved) or 0) for s in self.segments]
        slim[table : table + _SEGMENT.size * len(segments)] = b"".join(segment.pack() for segment in segments)
        header = [*self._header[:5], table, 0, *self._header[7:11], 0, 0, 0]
        slim[: _HEADER.size] = _HEADER.pack(*header)
        return bytes(slim) if len(slim) < len(self._data) else self._data

    @staticmethod
    def _moved(offset: int, loads: list[Segment], moved: dict[Segment, int]) -> int | None:
        """Where what lay at ``offset`` lies now; None if no loaded segment holds it."""
        holder = next((load for load in loads if load.offset <= offset < load.end), None)
        return None if holder is None else moved[holder] + offset - holder.offset

    def _dynamic(self) -> list[tuple[int, int]]:
        found = next((segment for segment in self.segments if segment.kind == _DYNAMIC), None)
        if found is None:
            raise DeployError(f"{self._name}: is linked to nothing, so it is no shared library.")
        return list(struct.iter_unpack("<QQ", self._data[found.offset : found.offset + found.size // 16 * 16]))

    def _offset(self, address: int) -> int:
        for segment in self.segments:
            if segment.kind == _LOAD and segment.address <= address < segment.address + segment.size:
                return segment.offset + address - segment.address
        raise DeployError(f"{self._name}: address {address:#x} is of no segment.")

    def _text(self, offset: int) -> str:
        return self._data[offset : self._data.index(b"\0", offset)].decode()
