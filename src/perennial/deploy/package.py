"""Build the folders that functions run: locked packages, and only that part of Perennial which they need."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from perennial.deploy import bytecode, elf, recipes, tree
from perennial.deploy.lock import only_one
from perennial.deploy.recipes import RECIPES, Recipe
from perennial.errors import DeployError

Target = Literal["local", "cloud"]

ROOT = Path(__file__).resolve().parents[3]
CAPTURE_PARTS = frozenset(
    {"__pycache__", "annotated_types", "lambdas", "obstore", "perennial", "pydantic", "pydantic_core",
     "typing_extensions.py", "typing_inspection"}
)  # fmt: skip
"""All of the package that the capture imports: a quarter of it, so that a burst of cold starts costs a quarter."""

CLOUD_PYTHON = "3.13"
CLOUD_PLATFORM = "aarch64-manylinux_2_28"
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Package:
    """A built folder. ``digest`` names its inputs; ``compiled`` says whether it carries ``.pyc`` for its Python."""

    folder: Path
    digest: str
    megabytes: float
    compiled: bool


def build_packages(target: Target, folder: Path, *, python: Path, root: Path = ROOT) -> dict[str, Package]:
    """Build all packages below ``folder``, by their names. Raises as :func:`build_package`."""
    return {
        recipe.name: build_package(recipe, target, folder / recipe.name, python=python, root=root) for recipe in RECIPES
    }


def build_package(recipe: Recipe, target: Target, out: Path, *, python: Path, root: Path = ROOT) -> Package:
    """Build a package at ``out``, or find it there from the same inputs.

    ``python`` is the interpreter that will run a ``local`` package; for ``cloud`` (Lambda's Python
    3.13 on arm64) any Python 3.13 on this machine compiles it, and without one it ships uncompiled.

    Raises:
        DeployError: a wheel is missing, or the result is too large or holds what must not ship.
    """
    with only_one(out.with_name(out.name + ".lock")):
        return _build(recipe, target, out, python, root)


def _build(recipe: Recipe, target: Target, out: Path, python: Path, root: Path) -> Package:
    compiler = python if target == "local" else cloud_compiler()
    digest = input_digest(recipe, root, target, compiler)
    stamp = out.with_name(out.name + ".json")
    found = _stamped(stamp, out, digest)
    if found:
        return found
    building = out.with_name(out.name + ".building")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    install(root / recipe.lock, target, building, python)
    tree.strip(building, recipe)
    tree.slim(building)
    for source in recipe.sources:
        copy_source(root, source, building)
    if compiler:
        tree.compile_tree(building, compiler, recipe)
    if target == "local":
        tree.prove(building, python, recipe)
    size = tree.check(building, recipe)
    stamp.unlink(missing_ok=True)
    shutil.rmtree(out, ignore_errors=True)
    building.rename(out)
    package = Package(out, digest, round(size, 1), compiler is not None)
    stamp.write_text(json.dumps({"digest": digest, "megabytes": package.megabytes, "compiled": package.compiled}))
    return package


def zip_package(package: Package, path: Path, parts: Collection[str] | None = None, *, deflated: bool = False) -> Path:
    """The package, or the ``parts`` of its top level, as a zip: the same bytes for the same content.

    It is stored, because unpacking is what costs a cold start, unless it is to be ``deflated``: a third to send.
    """
    partial = path.with_name(path.name + ".partial")
    kind = zipfile.ZIP_DEFLATED if deflated else zipfile.ZIP_STORED
    with zipfile.ZipFile(partial, "w", kind, compresslevel=1) as archive:
        for file in sorted(package.folder.rglob("*")):
            if file.is_file() and (parts is None or file.relative_to(package.folder).parts[0] in parts):
                info = zipfile.ZipInfo(file.relative_to(package.folder).as_posix(), _EPOCH)
                info.external_attr = 0o644 << 16  # whatever the umask was: nothing in it is run as a program
                archive.writestr(info, file.read_bytes(), kind)
    partial.replace(path)
    return path


def uv() -> str:
    """The uv that `make setup` put under the repository, else the machine's own.

    Raises:
        DeployError: there is none.
    """
    own = ROOT / ".local/uv/bin/uv"
    found = str(own) if own.is_file() else shutil.which("uv")
    if not found:
        raise DeployError("uv is not installed.", remedy="Run `make setup`.")
    return found


def install(lock: Path, target: Target, out: Path, python: Path) -> None:
    """Install what ``lock`` pins into a folder, as wheels alone: those of ``python``, or those of Lambda.

    Raises:
        DeployError: one is not to be had.
    """
    platform = (
        ["--python", str(python)]
        if target == "local"
        else ["--python-platform", CLOUD_PLATFORM, "--python-version", CLOUD_PYTHON]
    )
    result = subprocess.run(  # noqa: S603
        [uv(), "pip", "install", "--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:",
         "--link-mode", "copy", "--target", str(out), *platform, "-r", str(lock)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if result.returncode != 0:
        raise DeployError(
            f"{lock}: {' '.join(result.stderr.split())[:400]}", remedy="Run `make lock`, or check the network."
        )


def cloud_compiler() -> Path | None:
    """Some Python 3.13 of this machine, if there is one: bytecode is the same on every processor."""
    result = subprocess.run(  # noqa: S603
        [uv(), "python", "find", "--no-python-downloads", CLOUD_PYTHON], capture_output=True, text=True, check=False
    )
    if result.returncode == 0:
        return Path(result.stdout.strip())
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return next(iter(sorted(pyenv.glob(f"versions/{CLOUD_PYTHON}.*/bin/python"))), None)


def copy_source(root: Path, source: str, building: Path) -> None:
    """Copy a folder or file of the repository ``root`` to where it lies in a package."""
    origin = root / source
    target = building / source.removeprefix("src/")
    target.parent.mkdir(parents=True, exist_ok=True)
    if origin.is_dir():
        shutil.copytree(origin, target, ignore=shutil.ignore_patterns("__pycache__", "*.md"))
    else:
        shutil.copyfile(origin, target)


def input_digest(recipe: Recipe, root: Path, target: Target, compiler: Path | None) -> str:
    """SHA-256 over everything the package depends on."""
    version = _version(compiler) if compiler else "uncompiled"
    hasher = hashlib.sha256(f"{target} {version} {sys.platform}".encode())
    own = (Path(__file__), *(Path(str(module.__file__)) for module in (bytecode, elf, recipes, tree)))
    sources = [path for source in recipe.sources for path in _files(root / source)]
    placed = {path.relative_to(root).as_posix(): path for path in (root / recipe.lock, *sources)}
    for name, path in [*placed.items(), *((path.name, path) for path in own)]:
        hasher.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return hasher.hexdigest()


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file() and "__pycache__" not in file.parts)
    return [path]


def _version(python: Path) -> str:
    code = "import sys; print(sys.implementation.cache_tag, sys.version_info[:3], __import__('platform').machine())"
    return subprocess.run([str(python), "-I", "-c", code], capture_output=True, text=True, check=True).stdout  # noqa: S603


def _stamped(stamp: Path, out: Path, digest: str) -> Package | None:
    """What an earlier build left at ``out``, if its inputs were the same."""
    try:
        values = json.loads(stamp.read_text())
        same = values["digest"] == digest and out.is_dir()
        return Package(out, digest, float(values["megabytes"]), bool(values["compiled"])) if same else None
    except (OSError, ValueError, KeyError):
        return None
