"""Bytecode of what a function runs: the same program, less the text that only explains it."""

from __future__ import annotations

import marshal
import sys
import traceback
from pathlib import Path
from typing import Any

import pytest

from perennial.deploy import bytecode, tree
from perennial.deploy.recipes import API, SCORE, Recipe

SOURCE = '''"""What this module is for."""

from __future__ import annotations

from typing import Annotated

class Doc:
    """Holds an explanation."""
    def __init__(self, text):
        self.text = text

added = []
def add_newdoc(*parts):
    added.append(parts)

add_newdoc("module", "name", "said at length")

def explained(x: Annotated[int, Doc("said at length")] = 1):
    """Said at length."""
    raise ValueError("still here")

async def waiting():
    """Said at length."""

def only():
    "Said at length."

value = "a text that is no explanation"
held = Doc("said at length")
'''


def run(*, explained: bool) -> dict[str, Any]:
    found = bytecode.compiled(SOURCE.encode(), "/var/task/module.py", explained=explained)
    names: dict[str, Any] = {"__name__": "module"}
    exec(marshal.loads(found[16:]), names)
    return names


def test_it_leaves_out_what_only_explains_and_nothing_else() -> None:
    names = run(explained=False)

    assert "__doc__" not in names or names["__doc__"] is None
    assert [names[name].__doc__ for name in ("explained", "waiting", "only", "add_newdoc")] == [None] * 4
    assert (names["added"], names["held"].text, names["value"]) == ([], "", "a text that is no explanation")
    assert names["Doc"].__doc__ == "Holds an explanation."  # a data class without one would write it, at a price
    assert names["only"]() is None
    assert b"at length" not in bytecode.compiled(SOURCE.encode(), "module.py", explained=False)


@pytest.mark.parametrize(
    ("recipe", "kept"), [(API, {"perennial"}), (SCORE, {"perennial", "theirs"})], ids=["api", "score"]
)
def test_our_own_code_stays_whole_and_what_may_be_read(recipe: Recipe, kept: set[str], tmp_path: Path) -> None:
    names = run(explained=True)
    assert (names["explained"].__doc__, names["held"].text) == ("Said at length.", "said at length")

    for package in ("theirs", "perennial"):
        (tmp_path / package).mkdir()
        (tmp_path / package / "module.py").write_text(SOURCE)
    tree.compile_tree(tmp_path, Path(sys.executable), recipe)
    found = {path.relative_to(tmp_path).parts[0]: path.read_bytes() for path in tmp_path.rglob("*.pyc")}
    assert {package for package, data in found.items() if b"at length" in data} == kept
    assert set(found) == {"theirs", "perennial"}


def test_an_error_still_names_its_line() -> None:
    names = run(explained=False)
    with pytest.raises(ValueError, match="still here") as raised:
        names["explained"]()
    last = traceback.extract_tb(raised.value.__traceback__)[-1]
    assert (last.filename, SOURCE.splitlines()[(last.lineno or 0) - 1].strip()) == (
        "/var/task/module.py", 'raise ValueError("still here")',
    )  # fmt: skip
