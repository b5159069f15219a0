"""No hostile model serves: it is refused before the alias moves, and a server that is told to serve it does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from perennial import confined
from perennial.cli import registry as commands
from perennial.jobs import rehearse
from perennial.registry.manifest import MOST_FILE_BYTES
from perennial.serving import onnx_walk, predictor
from tests.support.chaos.models_bombs import counted
from tests.support.chaos.models_graphs import outside_within
from tests.support.chaos.models_hostile import OUTSIDE, PROOF, Hostile, everything, harmless, outsiders
from tests.support.chaos.models_world import World
from tests.support.chaos.scale import Scale
from tests.support.chaos.tally import Findings, Tally
from tests.support.hostile_models import bomb

CHECK = "hostile models"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the process runs, with another folder above it."""
    made = tmp_path / "run"
    made.mkdir()
    monkeypatch.chdir(made)
    return made


@pytest.fixture
def world(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    made = World(folder)
    monkeypatch.setenv("PERENNIAL_BUCKET", "memory")
    monkeypatch.setattr(commands, "open_store", lambda settings: made.store)
    monkeypatch.setattr(commands, "follow", lambda *arguments: None)  # a page, and MLflow
    yield made
    assert not list(folder.parent.rglob(PROOF)), "a pickle was loaded"


def judged(hostile: Iterable[Hostile], *ways: Callable[[Hostile], str]) -> Findings:
    found = Findings()
    for one in hostile:
        for way in ways:
            found.note(one.kind, way(one))
    return found


def test_refused_before_the_alias_moves(world: World, folder: Path, scale: Scale, tally: Tally) -> None:
    """In full each is also to be tried beside the champion."""
    chosen = [one for one in everything(folder, scale.random("cuts"), full=scale.full) if scale.full or one.short]
    ways = [world.tried, lambda one: world.tried(one, shadow=True)] if scale.full else [world.tried]
    judged(chosen, *ways).record(tally, CHECK)


def test_not_opened_by_a_server_though_the_log_says_so(world: World, folder: Path, scale: Scale, tally: Tally) -> None:
    seen = [one for one in everything(folder, scale.random("cuts"), full=scale.full) if one.seen]
    judged(seen, world.forged).record(tally, CHECK)


def test_a_file_of_gigabytes_is_refused_unread(world: World, tally: Tally) -> None:
    files = [world.heavy(2 << 30, 2 << 30), world.heavy(2 << 30, 500), world.heavy(MOST_FILE_BYTES, MOST_FILE_BYTES)]
    judged(files, world.tried).record(tally, CHECK)
    judged(files[:2], world.forged).record(tally, CHECK)


def test_what_only_looks_hostile_is_promoted(world: World, scale: Scale) -> None:
    found = judged([one for one in harmless() if scale.full or one.short], world.promoted)
    assert not found.why


def _no_walk(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(predictor, "check_graph", lambda onnx, what="": None)


def _no_subgraphs(patch: pytest.MonkeyPatch) -> None:
    kind = onnx_walk._KINDS["attribute"]
    inner = {field: name for field, name in kind.inner.items() if name != "graph"}
    plain = dict(kind.plain) | {field: (2,) for field in kind.inner if field not in inner}
    patch.setitem(onnx_walk._KINDS, "attribute", replace(kind, inner=inner, plain=plain))


@pytest.mark.parametrize(
    ("name", "broken"),
    [("no walk", _no_walk), ("a walk around subgraphs", _no_subgraphs)],
    ids=["no-walk", "no-subgraphs"],
)
def test_servers_that_look_too_little_are_found_out(
    world: World, folder: Path, tally: Tally, name: str, broken: Callable[[pytest.MonkeyPatch], None]
) -> None:
    list(outsiders(folder))  # lays them out
    hostile = Hostile(name, outside_within(OUTSIDE))
    assert not world.forged(hostile)
    with pytest.MonkeyPatch.context() as patch:
        broken(patch)
        tally.mutant(CHECK, name, bool(world.forged(hostile)))


def _no_memory_limit(patch: pytest.MonkeyPatch) -> None:
    report = rehearse._report
    patch.setattr(rehearse, "limits_for", lambda megabytes: replace(rehearse.LIMITS, memory=1 << 46))
    patch.setattr(rehearse, "_report", lambda *arguments: report(*arguments).model_copy(update={"peak": 0}))


def _no_time_limit(patch: pytest.MonkeyPatch) -> None:
    run = confined.run_confined
    patch.setattr(
        rehearse, "run_confined", lambda module, folder, limits: run(module, folder, replace(limits, seconds=600.0))
    )


@pytest.mark.parametrize(
    ("name", "broken", "hostile"),
    [("a first run without a bound to memory", _no_memory_limit, Hostile("bomb", bomb(300))),
     ("a first run without a bound to time", _no_time_limit, Hostile("slow", counted(1_000_000), seconds=1.0))],
    ids=["memory", "time"],
)  # fmt: skip
def test_first_runs_without_bounds_are_found_out(
    world: World, tally: Tally, monkeypatch: pytest.MonkeyPatch, name: str,
    broken: Callable[[pytest.MonkeyPatch], None], hostile: Hostile,
) -> None:  # fmt: skip
    monkeypatch.setenv("PERENNIAL_API_MEGABYTES", "256")
    assert not world.tried(hostile)
    with pytest.MonkeyPatch.context() as patch:
        broken(patch)
        tally.mutant(CHECK, name, bool(world.tried(hostile)))
