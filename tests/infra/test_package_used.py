"""What is stripped from a package is never used: the whole work is done with all of it, and every file noted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from perennial.deploy import recipes, tree
from perennial.deploy.ministack import interpreter
from perennial.deploy.package import build_package
from perennial.deploy.recipes import Recipe
from perennial.deploy.recording import Recorder, unused
from perennial.store import Store
from tests.support.whole_work import use_api, use_capture, use_scoring, working_bucket

Work = Callable[[Recorder, Store], None]
LARGEST = 12
"""How many of the parts that stay though nothing used them are told, where output is shown."""


def serve(recorder: Recorder, store: Store) -> None:
    use_api(recorder)
    use_capture(recorder)


@pytest.mark.parametrize(("recipe", "work"), [(recipes.API, serve), (recipes.SCORE, use_scoring)], ids=["api", "score"])
def test_nothing_that_is_stripped_is_ever_used(recipe: Recipe, work: Work, tmp_path: Path) -> None:
    whole = replace(recipe, unused=(), only={}, megabytes=1000.0)
    folder = build_package(whole, "local", tmp_path / recipe.name, python=interpreter()).folder
    before, touched = files(folder), recorded(folder, work, tmp_path / "whole")
    assert len(touched) > 300 and touched <= before
    left = unused(folder, touched)

    tree.strip(folder, recipe)
    stripped, tried = before - files(folder), {path for pattern in recipe.tried for path in matched(pattern, before)}
    assert len(stripped) > 1000 and {"onnxruntime/transformers/optimizer.py", "numpy/f2py/crackfortran.py"} <= stripped
    assert sorted(touched & stripped - tried) == []
    recorded(folder, work, tmp_path / "stripped")

    kept = {name: size for name, size in left.items() if (folder / name).exists()}
    assert sum(kept.values()) / 1e6 < 0.08 * tree.megabytes(folder)
    tell(recipe, folder, kept)


def recorded(folder: Path, work: Work, place: Path) -> frozenset[str]:
    """What the work touches of a tree; it checks each answer itself."""
    with working_bucket(place) as (store, env), Recorder(folder, interpreter(), env) as recorder:
        work(recorder, store)
        return recorder.touched()


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def matched(pattern: str, names: set[str]) -> set[str]:
    return {name for name in names if Path(name).match(pattern)}


def tell(recipe: Recipe, folder: Path, kept: dict[str, int]) -> None:
    parts: dict[str, int] = {}
    for name, size in kept.items():
        part = "/".join(name.split("/")[:2])
        parts[part] = parts.get(part, 0) + size
    print(f"{recipe.name}: {sum(kept.values()) / 1e6:.1f} of {tree.megabytes(folder):.1f} MB stay unused")
    for part, size in sorted(parts.items(), key=lambda item: -item[1])[:LARGEST]:
        print(f"{size / 1000:8.0f} kB  {part}")
