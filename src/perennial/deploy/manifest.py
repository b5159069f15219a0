"""``build/manifest.json``: what `make build` made, by digests that another build of the same commit repeats."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from perennial.deploy.package import Package, zip_package


class Zip(BaseModel):
    """A package as an archive. ``sha256`` is of the archive, ``content`` of the names and bytes of what is in it."""

    model_config = ConfigDict(frozen=True)

    file: str
    size: int
    sha256: str
    content: str


class Built(BaseModel):
    """One package: its size unzipped in MB (1,000,000 bytes), its files, and whether it carries bytecode."""

    model_config = ConfigDict(frozen=True)

    megabytes: float
    files: int
    compiled: bool
    inputs: str
    zip: Zip


class Manifest(BaseModel):
    """All that was built from ``commit``; None outside of Git. ``changed`` says that the work tree differs from it."""

    model_config = ConfigDict(frozen=True)

    commit: str | None
    changed: bool
    packages: dict[str, Built]


def write_manifest(packages: Mapping[str, Package], folder: Path, root: Path) -> Manifest:
    """Zip the packages into ``folder`` and describe them in its ``manifest.json``; nothing in it depends on the day."""
    commit = _git(root, "rev-parse", "HEAD")
    changed = bool(commit and _git(root, "status", "--porcelain", "--untracked-files=no"))
    manifest = Manifest(
        commit=commit, changed=changed, packages={name: _built(package, folder) for name, package in packages.items()}
    )
    partial = folder / "manifest.json.partial"
    partial.write_text(manifest.model_dump_json(indent=2) + "\n")
    partial.replace(folder / "manifest.json")
    return manifest


def content_digest(folder: Path) -> str:
    """SHA-256 over the sorted paths and the bytes of all files: the same whatever compresses them."""
    whole = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            whole.update(f"{name}\0{hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return whole.hexdigest()


def _built(package: Package, folder: Path) -> Built:
    archive = zip_package(package, folder / f"{package.folder.name}.zip")
    with archive.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return Built(
        megabytes=package.megabytes,
        files=sum(path.is_file() for path in package.folder.rglob("*")),
        compiled=package.compiled,
        inputs=package.digest,
        zip=Zip(file=archive.name, size=archive.stat().st_size, sha256=digest, content=content_digest(package.folder)),
    )


def _git(root: Path, *arguments: str) -> str | None:
    result = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return result.stdout.strip() if result.returncode == 0 else None
