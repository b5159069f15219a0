"""Trials from the command line: how they begin, how they are shown, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from perennial.cli import app, registry, trial
from perennial.cli.trial import share_of
from perennial.errors import NotFoundError, PerennialError, PromotionRefused, SettingsError
from perennial.registry.registry import Registry
from perennial.store import Store, memory_store
from tests.support.models import MIXED, build, make_spec, promote, register

CHAMPION, CHALLENGER = build(seed=1), build(seed=2)
OTHER = build(make_spec(features=MIXED))


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    """A bucket with three versions of the model iris, the first of which serves; the last takes other records."""
    monkeypatch.setenv("PERENNIAL_BUCKET", "memory")
    bucket = memory_store()
    for module in (registry, trial):
        monkeypatch.setattr(module, "open_store", lambda settings: bucket)
    promote(bucket, CHAMPION)
    register(bucket, CHALLENGER)
    register(bucket, OTHER)
    return bucket


def run(*arguments: str) -> str:
    found = CliRunner().invoke(app, arguments)
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    assert found.exit_code == 0, found.output
    return found.stdout


def refused(*arguments: str) -> PerennialError:
    with pytest.raises(PerennialError) as error:
        run(*arguments)
    return error.value


def test_a_trial_from_its_beginning_to_the_promotion(store: Store) -> None:
    said = run("promote", "iris", CHALLENGER.version, "--canary", "10%", "--reason", "promising")
    assert said.startswith(f"{CHALLENGER.version} answers 10 % of the callers beside champion {CHAMPION.version}")
    shown = run("trial", "iris")
    assert f"challenger   {CHALLENGER.version} (canary, 10 % of the callers)" in shown
    assert "errors       nothing captured yet" in shown and "unknown; 0 rows, 100 are needed" in shown
    assert "looks on" in run("promote", "iris", CHALLENGER.version, "--shadow")
    assert "is over" in run("trial", "iris", "--stop")
    run("promote", "iris", CHALLENGER.version)
    log = run("log", "iris")
    assert f"{CHALLENGER.version} canary 10%" in log and f"{CHALLENGER.version} shadow" in log
    entries: list[dict[str, Any]] = json.loads(run("log", "iris", "--json"))
    assert [entry["kind"] for entry in entries] == ["promotion", "trial", "trial", "trial_end", "promotion"]
    assert entries[1]["trial"] == {"version": CHALLENGER.version, "mode": "canary", "share": 0.1, "began": 2}
    assert entries[1]["reason"] == "promising"


def test_a_champion_is_one_since_its_promotion_whatever_is_tried_beside_it(store: Store) -> None:
    before = json.loads(run("models", "--json"))
    run("promote", "iris", CHALLENGER.version, "--shadow")
    [after] = json.loads(run("models", "--json"))
    assert [after | {"generation": 1}] == before


def test_it_is_told_as_json_too(store: Store) -> None:
    entry = json.loads(run("promote", "iris", CHALLENGER.version, "--canary", "0.25", "--json"))
    assert (entry["kind"], entry["trial"]["share"]) == ("trial", 0.25)
    assert json.loads(run("trial", "iris", "--json"))["status"] == "unknown"
    assert json.loads(run("trial", "iris", "--stop", "--json"))["trial"] is None


def test_an_operation_is_done_once(store: Store) -> None:
    for _ in range(2):
        run("promote", "iris", CHALLENGER.version, "--shadow", "--op-id", "one")
    assert len(Registry(store).log("iris")) == 2


@pytest.mark.parametrize(
    ("arguments", "kind", "said"),
    [
        ((CHAMPION.version, "--shadow"), PromotionRefused, "there is nothing to try. Choose another version."),
        (("0" * 16, "--shadow"), NotFoundError, f"iris has no version {'0' * 16}. It has "),
        ((OTHER.version, "--canary", "5%"), PromotionRefused, "A changed input needs a promotion"),
        ((CHALLENGER.version, "--canary", "5%", "--shadow"), SettingsError, "Give --canary or --shadow, not both."),
        ((CHALLENGER.version, "--canary", "110%"), SettingsError, "Write 10% or 0.1"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_a_remedy(
    store: Store, arguments: tuple[str, ...], kind: type[PerennialError], said: str
) -> None:
    error = refused("promote", "iris", *arguments)
    assert isinstance(error, kind) and said in str(error)
    assert len(Registry(store).log("iris")) == 1


def test_without_a_trial_there_is_nothing_to_show_or_to_stop(store: Store) -> None:
    assert "begins one" in str(refused("trial", "iris"))
    assert "No trial of iris runs" in str(refused("trial", "iris", "--stop"))
    assert "Known models: iris." in str(refused("trial", "wine"))


@pytest.mark.parametrize(
    ("text", "share"), [("10%", 0.1), ("0.1", 0.1), (" 2.5 % ", 0.025), (".5", 0.5), ("99.9%", 0.999), ("1%", 0.01)]
)
def test_a_share_is_read(text: str, share: float) -> None:
    assert share_of(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["0", "0%", "100%", "1", "10", "-5%", "ten", "", "%", "1e-2", "nan", "0.1%%"])
def test_what_is_no_share_is_told_how_to_write_one(text: str) -> None:
    with pytest.raises(SettingsError, match=r"Write 10% or 0\.1"):
        share_of(text)
