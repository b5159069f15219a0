"""What there is to check: found by what it is, so that a new file is checked without being listed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = frozenset({".git", ".local", ".venv", "build", "node_modules", "__pycache__"})
CODE = ("src", "lambdas", "infra", "airflow")
"""Folders of code that runs, in a cloud or on the way to it."""


def templates(root: Path = ROOT) -> list[str]:
    """CloudFormation templates."""
    return _found(root, ".", _is_template)


def others(root: Path = ROOT) -> list[str]:
    """Recipes of images, workflows and manifests of Kubernetes."""
    recipes = _found(root, ".", lambda path: path.name.split(".")[0] == "Dockerfile" and path.suffix != ".dockerignore")
    manifests = _found(root, "infra", lambda path: _is_yaml(path) and "\napiVersion: " in f"\n{path.read_text()}")
    return sorted({*recipes, *_found(root, ".github/workflows", _is_yaml), *manifests})


def _is_yaml(path: Path) -> bool:
    return path.suffix in (".yaml", ".yml")


def _is_template(path: Path) -> bool:
    return _is_yaml(path) and path.read_text(errors="replace").startswith("AWSTemplateFormatVersion:")


def _found(root: Path, folder: str, wanted: Callable[[Path], bool]) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in _files(root / folder) if wanted(path))


def _files(folder: Path) -> Iterator[Path]:
    if not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.name in LEFT_OUT or path.is_symlink():
            continue
        if path.is_dir():
            yield from _files(path)
        else:
            yield path
