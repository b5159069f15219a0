from __future__ import annotations

import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from perennial.deploy.elf import X86_64, Elf
from perennial.errors import DeployError

SITE = Path(sysconfig.get_path("purelib"))
LIBRARIES = sorted(
    path
    for pattern in ("numpy.libs/*.so*", "PIL/_imaging.*.so", "numpy/_core/_multiarray_umath.*.so", "obstore/*.so")
    for path in SITE.glob(pattern)
)
LOAD = "import ctypes, sys; sys.exit(not ctypes.CDLL(sys.argv[1])._handle)"


def named(path: Path) -> str:
    return path.name.split(".")[0].split("-")[0]


@pytest.mark.parametrize("path", LIBRARIES, ids=named)
def test_a_library_loads_without_what_no_segment_holds(path: Path, tmp_path: Path) -> None:
    whole = Elf(path.read_bytes(), path.name)
    slim = Elf(whole.slim(), path.name)
    assert (slim.machine, slim.libraries(), slim.versions()) == (whole.machine, whole.libraries(), whole.versions())
    assert len(whole.slim()) < path.stat().st_size
    assert slim.slim() == whole.slim()
    copy = tmp_path / path.name
    copy.write_bytes(whole.slim())
    env = {"LD_LIBRARY_PATH": f"{SITE / 'numpy.libs'}:{SITE / 'pillow.libs'}"}
    subprocess.run([sys.executable, "-I", "-c", LOAD, str(copy)], check=True, env=env)


def test_every_kind_of_layout_is_among_them() -> None:
    """Some hold symbols at their end, and some in a hole that a patching tool left between two segments."""
    cut, ends = {}, {}
    for path in LIBRARIES:
        library, size = Elf(path.read_bytes(), path.name), path.stat().st_size
        cut[path] = size - len(library.slim())
        ends[path] = size - max(segment.end for segment in library.segments)
    assert any(end > 100_000 for end in ends.values())
    assert any(cut[path] > 100_000 + end for path, end in ends.items())


def test_it_says_which_c_library_is_needed() -> None:
    library = Elf(LIBRARIES[0].read_bytes(), LIBRARIES[0].name)
    assert library.machine == X86_64
    assert "libc.so.6" in library.libraries()
    assert any(version.startswith("GLIBC_2.") for version in library.versions())


@pytest.mark.parametrize("size", [0, 5, 64, 100, 5_000])
def test_damaged_libraries_are_named(size: int) -> None:
    with pytest.raises(DeployError, match=r"a\.so: "):
        Elf(LIBRARIES[0].read_bytes()[:size], "a.so").versions()
