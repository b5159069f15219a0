"""What a package for the cloud must be before it ships: for Lambda's processor and C library, small, and complete."""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from perennial.deploy import elf, tree
from perennial.deploy.package import CLOUD_PYTHON, cloud_compiler, install
from perennial.deploy.recipes import Recipe
from perennial.errors import DeployError

GLIBC = (2, 34)
"""Of Amazon Linux 2023, on which Lambda runs python3.13: https://docs.aws.amazon.com/linux/al2023/ug/compare-with-al2.html"""
_GLIBC = re.compile(r"GLIBC_(\d+)\.(\d+)")
_TAG = re.compile(r"\.cpython-(\d+)-\w+-linux-gnu(?=\.so$)")


@dataclass(frozen=True)
class Passed:
    """What the gate saw: size in MB (1,000,000 bytes), native libraries, and the newest C library that one asks for."""

    megabytes: float
    libraries: int
    glibc: tuple[int, int]


def check_package(folder: Path, recipe: Recipe, root: Path) -> Passed:
    """See that the built ``folder`` may be given to Lambda; ``root`` is the repository, for the recipe's lock.

    Raises:
        DeployError: it may not; says why.
    """
    if not folder.is_dir():
        raise DeployError(f"{folder} does not exist.", remedy="Run `make build`.")
    size = tree.check(folder, recipe)
    found = tree.libraries(folder)
    newest = max((check_library(path) for path in found), default=(0, 0))
    python = python_for_lambda()
    with tempfile.TemporaryDirectory(prefix="perennial-gate-") as place:
        here, both = Path(place, "here"), Path(place, "both")
        install(root / recipe.lock, "local", here, python)
        overlay(folder, here, both)
        tree.prove(both, python, recipe)
    return Passed(round(size, 1), len(found), newest)


def check_library(path: Path) -> tuple[int, int]:
    """The newest version of the C library that a native library asks for.

    Raises:
        DeployError: it is for another processor, another Python, or a newer C library than Lambda's.
    """
    library = elf.Elf(path.read_bytes(), str(path))
    if library.machine != elf.AARCH64:
        raise DeployError(f"{path}: is for another processor (ELF machine {library.machine}) than arm64.")
    tag = _TAG.search(path.name)
    if tag and tag[1] != CLOUD_PYTHON.replace(".", ""):
        raise DeployError(f"{path}: is for another Python than {CLOUD_PYTHON}.")
    asked = [(int(one[1]), int(one[2])) for name in library.versions() if (one := _GLIBC.fullmatch(name))]
    newest = max(asked, default=(0, 0))
    if newest > GLIBC:
        raise DeployError(f"{path}: asks for glibc {newest[0]}.{newest[1]}; Lambda has {GLIBC[0]}.{GLIBC[1]}.")
    return newest


def python_for_lambda() -> Path:
    """A Python of this machine that is of Lambda's version.

    Raises:
        DeployError: there is none.
    """
    python = cloud_compiler()
    if python is None:
        remedy = f"Run `.local/uv/bin/uv python install {CLOUD_PYTHON}`."
        raise DeployError(f"No Python {CLOUD_PYTHON} is here to import the packages.", remedy=remedy)
    return python


def overlay(folder: Path, here: Path, both: Path) -> None:
    """Make ``both``, a package for arm64 that this machine can import: its files, and native modules from ``here``.

    Only modules that the package has too are taken from what is installed here, so one that it lacks is missed.
    """
    native = {path.relative_to(folder) for path in tree.libraries(folder)}
    foreign = {folder / path for path in native}
    shutil.copytree(folder, both, ignore=lambda at, names: [name for name in names if Path(at, name) in foreign])
    modules = {_untagged(path.relative_to(here)): path for path in tree.libraries(here)}
    for name in native:
        if name.parent.suffix != ".libs" and (found := modules.get(_untagged(name))):
            shutil.copyfile(found, both / found.relative_to(here))
    for libraries in here.glob("*.libs"):  # what a wheel brings of other projects differs by processor
        shutil.copytree(libraries, both / libraries.name, dirs_exist_ok=True)


def _untagged(path: Path) -> Path:
    return path.with_name(_TAG.sub("", path.name))
