"""What the command line says of a model or version that is not there, of a version that waits, and how it is shown."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from perennial.cli import approve, registry
from perennial.cli.cycle import refusal
from perennial.cli.output import show_table
from perennial.errors import NotFoundError
from perennial.jobs.results import OutcomeResult
from perennial.registry.registry import Registry
from perennial.store import Store, memory_store
from tests.support.versions import spec, version

NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
OUTCOME = OutcomeResult(model="shop", run="one", dataset="d" * 64, trained=True, version="v2", passed=True)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    """A bucket with two versions of the model shop, the first of which serves."""
    monkeypatch.setenv("PERENNIAL_BUCKET", "memory")
    bucket = memory_store()
    for module in (approve, registry):
        monkeypatch.setattr(module, "open_store", lambda settings: bucket)
    for run in ("one", "two"):
        manifest, files = version(spec=spec(name="shop"), run=run)
        Registry(bucket).publish(manifest, files)
    first, _ = version(spec=spec(name="shop"), run="one")
    Registry(bucket).promote("shop", first.version, op_id="one", actor="ada", reason="the first", now=NOON)
    return bucket


@pytest.mark.parametrize(
    "ask",
    [
        lambda: registry.rollback("nope"),
        lambda: registry.promote("nope", "v1"),
        lambda: registry.log("nope"),
        lambda: approve.approvals("nope"),
        lambda: approve.approve("nope"),
    ],
)
def test_an_unknown_model_is_said_to_be_none_and_the_known_are_named(store: Store, ask: Callable[[], None]) -> None:
    with pytest.raises(NotFoundError, match="Model nope has no versions") as error:
        ask()
    assert error.value.remedy == "Known models: shop."


def test_rolling_back_to_no_version_names_those_there_are(store: Store) -> None:
    versions = Registry(store).versions("shop")
    with pytest.raises(NotFoundError, match="shop has no version v9") as error:
        registry.rollback("shop", to="v9")
    assert len(versions) == 2 and all(each in str(error.value.remedy) for each in versions)


def test_a_version_that_waits_is_answered_not_promoted_past_the_person() -> None:
    said = refusal(OUTCOME.model_copy(update={"waiting": True}))
    assert said.exit_code == 9
    assert "`perennial approve shop v2`" in str(said) and "`perennial approve shop v2 --reject`" in str(said)
    assert "perennial promote" not in str(said)


def test_a_version_that_the_gate_refused_may_be_promoted_by_hand() -> None:
    said = refusal(OUTCOME.model_copy(update={"passed": False, "failures": ("minimum.accuracy: too low.",)}))
    assert "too low" in str(said) and "`perennial promote shop v2`" in str(said)


def test_a_table_shortens_digests_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    run, page = "manual__2026-11-21T03:00:00.123456+00:00_longer", "http://localhost:4566/site-of-shop/model.html#shop"
    show_table([{"run": run, "page": page, "dataset": "ab" * 32}], ("run", "page", "dataset"), False, "")
    shown = capsys.readouterr().out.split()
    assert {run, page, "ab" * 6} <= set(shown)
