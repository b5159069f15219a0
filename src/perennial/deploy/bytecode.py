"""Compile a function's modules by the Python that will run them: `python -I bytecode.py FOLDER PREFIX KEEP`.

The bytecode is trusted as it is, whatever its sources' times, and names these below ``PREFIX``. Text that only explains
is left out of it: docstrings of modules and functions (a class may look at its own), FastAPI's ``Doc("...")`` and
numpy's ``add_newdoc(...)``. A start would read all of it, keep it, and never show it. ``KEEP`` names the packages that
keep theirs, with commas between; ``*`` means all. Standard library only.
"""

import ast
import importlib.util
import marshal
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

ALL = "*"
UNCHECKED = (0b01).to_bytes(4, "little")
"""What PEP 552 writes into the head of bytecode that is never compared with its source."""


def unexplained(tree: ast.Module) -> ast.Module:
    """A module without text that only explains."""
    if ast.get_docstring(tree, clean=False) is not None:
        del tree.body[0]
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() if ast.get_docstring(node, clean=False) is not None:
                node.body[0] = ast.copy_location(ast.Pass(), node.body[0])
            case ast.Call(func=ast.Name("Doc"), args=[text]):
                node.args = [ast.copy_location(ast.Constant(""), text)]
            case ast.Expr(ast.Call(func=ast.Name("add_newdoc" | "add_newdoc_for_scalar_type")) as call):
                node.value = ast.copy_location(ast.Constant(None), call)
    return tree


def compiled(source: bytes, name: str, *, explained: bool) -> bytes:
    """The bytes of a ``.pyc``. Raises SyntaxError or ValueError: it is no module of this Python."""
    tree = ast.parse(source, name)
    code = compile(tree if explained else unexplained(tree), name, "exec", dont_inherit=True)
    return importlib.util.MAGIC_NUMBER + UNCHECKED + importlib.util.source_hash(source) + marshal.dumps(code)


def compile_file(folder: Path, prefix: str, keep: frozenset[str], path: Path) -> str:
    """Compile one module to where Python looks for it; what is wrong with it, or nothing."""
    place = path.relative_to(folder)
    source = path.read_bytes()
    try:
        found = compiled(source, f"{prefix}/{place.as_posix()}", explained=not keep.isdisjoint((ALL, place.parts[0])))
    except (SyntaxError, ValueError) as error:
        return f"{place}: {error}"
    target = Path(importlib.util.cache_from_source(str(path)))
    target.parent.mkdir(exist_ok=True)
    target.write_bytes(found)
    return ""


def main(folder: Path, prefix: str, keep: frozenset[str]) -> int:
    paths = sorted(folder.rglob("*.py"))
    with ProcessPoolExecutor() as pool:
        wrong = [text for text in pool.map(partial(compile_file, folder, prefix, keep), paths, chunksize=16) if text]
    sys.stdout.write("\n".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], frozenset(sys.argv[3].split(","))))
