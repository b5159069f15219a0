"""What makes an installed folder fit for a Lambda: slim, compiled, and free of what must never ship."""

from __future__ import annotations

import ast
import shutil
import subprocess
from pathlib import Path

from perennial.deploy import bytecode
from perennial.deploy.elf import MAGIC, Elf
from perennial.deploy.recipes import Recipe
from perennial.errors import DeployError

OUR_CODE = ("perennial", "lambdas")
CODE = "/var/task"
"""Where a function finds its code."""

# Runs with the folder as the only place to import from, as in Lambda.
_PROOF = """
import sys
tree = sys.argv[1]
sys.path[:] = [path for path in sys.path if "site-packages" not in path] + [tree]
import importlib
handlers, modules = (names.split(",") for names in sys.argv[2:])
for name in handlers:
    assert callable(importlib.import_module(name).handler)
for name in modules:
    importlib.import_module(name)
print(",".join(sorted({name.split(".")[0] for name in sys.modules})))
"""


def strip(tree: Path, recipe: Recipe) -> None:
    """Remove what is never imported at run time. Version folders are looked up by entry point only; the others go."""
    for pattern in recipe.unused:
        for path in sorted(tree.glob(pattern), reverse=True):
            _remove(path)
    for folder, kept in recipe.only.items():
        for path in (tree / folder).iterdir():
            if path.name not in kept:
                _remove(path)
    for info in tree.glob("*.dist-info"):
        if _is_plugin(info):
            for path in info.iterdir():
                if path.name not in {"METADATA", "entry_points.txt"}:
                    _remove(path)
        else:
            shutil.rmtree(info)


def libraries(tree: Path) -> list[Path]:
    """The native libraries below a folder."""
    return [path for path in sorted(tree.rglob("*")) if path.is_file() and _begins(path, MAGIC)]


def slim(tree: Path) -> None:
    """Take out of native libraries what no loader reads.

    Raises:
        DeployError: one is damaged.
    """
    for path in libraries(tree):
        slim = Elf(path.read_bytes(), str(path)).slim()
        path.unlink()  # installers link files of their caches, whose bytes are not ours to change
        path.write_bytes(slim)


def compile_tree(tree: Path, python: Path, recipe: Recipe) -> None:
    """Compile every module for ``python``, as :mod:`perennial.deploy.bytecode` says; our own keep what explains them.

    Raises:
        DeployError: a module does not compile.
    """
    keep = ",".join(OUR_CODE) if recipe.unexplained else bytecode.ALL
    result = subprocess.run(  # noqa: S603
        [str(python), "-I", str(bytecode.__file__), str(tree), CODE, keep], capture_output=True, text=True, check=False
    )
    if result.returncode != 0:
        raise DeployError(f"{tree}: does not compile: {_last_line(result.stdout + result.stderr)}")


def check(tree: Path, recipe: Recipe) -> float:
    """Size in MB of a tree that may ship.

    Raises:
        DeployError: it is too large, or holds or imports something that must not ship; names it.
    """
    present = {path.name.split(".")[0] for path in tree.iterdir()} & recipe.never
    if present:
        raise DeployError(f"{tree}: holds {', '.join(sorted(present))}, which must not ship.")
    for folder in OUR_CODE:
        for path in sorted((tree / folder).rglob("*.py")):
            bad = imported(path) & recipe.never_imported
            if bad:
                raise DeployError(f"{path.relative_to(tree)}: imports {', '.join(sorted(bad))}, which must not ship.")
    size = megabytes(tree)
    if size > recipe.megabytes:
        raise DeployError(f"{tree}: {size:.0f} MB unzipped, above the limit of {recipe.megabytes:.0f} MB.")
    return size


def prove(tree: Path, python: Path, recipe: Recipe) -> None:
    """Import the handlers in a bare interpreter that sees nothing but the tree.

    Raises:
        DeployError: something it needs is missing, or something forbidden came in.
    """
    result = subprocess.run(  # noqa: S603
        [str(python), "-I", "-B", "-c", _PROOF, str(tree), ",".join(recipe.handlers), ",".join(recipe.modules)],
        capture_output=True, text=True, check=False, cwd=tree, env={"PERENNIAL_BUCKET": "proof"},
    )  # fmt: skip
    if result.returncode != 0:
        raise DeployError(f"{tree}: the handler does not import: {_last_line(result.stderr)}")
    loaded = set(result.stdout.split("\n")[-2].split(",")) & (recipe.never | recipe.late)
    if loaded:
        raise DeployError(f"{tree}: the handler loads {', '.join(sorted(loaded))}, which must not ship.")


def imported(path: Path) -> set[str]:
    """Top-level packages that a module needs, anywhere in it; not those whose absence it expects."""
    found: set[str] = set()
    nodes: list[ast.AST] = [ast.parse(path.read_text(encoding="utf-8"))]
    while nodes:
        node = nodes.pop()
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found.add(node.module.split(".")[0])
        elif isinstance(node, ast.Try) and _expects_absence(node):
            nodes += [*node.handlers, *node.orelse, *node.finalbody]
            continue
        nodes += ast.iter_child_nodes(node)
    return found


def megabytes(tree: Path) -> float:
    """Size of all files, in units of 1,000,000 bytes."""
    return sum(path.lstat().st_size for path in tree.rglob("*") if path.is_file()) / 1e6


def _expects_absence(block: ast.Try) -> bool:
    caught = [name.id for handler in block.handlers for name in ast.walk(handler) if isinstance(name, ast.Name)]
    return "ImportError" in caught


def _is_plugin(info: Path) -> bool:
    """Whether the package announces something others look up, rather than commands only."""
    points = info / "entry_points.txt"
    sections = (
        {line.strip() for line in points.read_text().splitlines() if line.startswith("[")}
        if points.is_file()
        else set()
    )
    return bool(sections - {"[console_scripts]", "[gui_scripts]"})


def _begins(path: Path, with_: bytes) -> bool:
    with path.open("rb") as file:
        return file.read(len(with_)) == with_


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    elif path.exists():
        path.unlink()


def _last_line(text: str) -> str:
    lines = [line for line in text.strip().splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else "no reason given"
