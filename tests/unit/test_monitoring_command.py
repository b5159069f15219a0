"""``perennial monitor``: a table for people, JSON for programs."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from perennial import keys
from perennial.cli import app
from perennial.monitoring.results import MonitorReport
from perennial.store import memory_store
from tests.support.shop import SPEC
from tests.support.watched import NOW, POLICY, Shop, open_shop


@pytest.fixture
def shop(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Shop:
    shop = open_shop(memory_store(), tmp_path)
    (tmp_path / "model.yaml").write_text(SPEC + POLICY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PERENNIAL_BUCKET", "the-bucket")
    monkeypatch.setattr("perennial.jobs.workspace.open_store", lambda settings: shop.store)
    shop.tell(shop.serve(200, price=lambda draw: draw.uniform(60, 100)), at=NOW - timedelta(hours=1))
    return shop


def test_a_pass_is_shown_to_people(shop: Shop) -> None:
    result = CliRunner().invoke(app, ["monitor", "model.yaml", "--at", NOW.isoformat(), "--no-html"])
    assert result.exit_code == 0, result.output
    lines = [line.split(maxsplit=1) for line in result.stdout.splitlines() if line]
    said = {line[0]: line[1] for line in lines if len(line) == 2}
    assert said["champion"] == shop.champion.manifest.version
    assert said["window"] == "2026-11-14 12:00 to 2026-11-21 12:00 UTC"
    assert said["predictions"] == "200"
    assert said["quality"] == "ok: nothing amiss"
    assert said["drift"] == "drift: 1 of 2 features moved (50%), drift is more than 30%: price"
    assert said["performance"].startswith("ok: accuracy ")
    assert said["retrain"] == "yes: drift: 1 of 2 features moved (50%), drift is more than 30%: price"
    verdicts = {line[0]: line[1] for line in lines if len(line) == 2 and line[0] in ("accuracy", "f1")}
    assert verdicts["f1"].split()[-2:] == ["no", "bound"] and verdicts["accuracy"].split()[-1] == "ok"
    assert said["price"].split()[0] == "*" and "*" not in said["colour"]


def test_a_pass_as_json_is_its_report_and_a_repeated_run_the_same(shop: Shop) -> None:
    command = ["monitor", "model.yaml", "--at", NOW.isoformat(), "--no-html", "--run", "mine", "--json"]
    first, second = (CliRunner().invoke(app, command).stdout for _ in range(2))
    report = MonitorReport.model_validate(json.loads(first))
    assert (report.model, report.rows, report.retrain) == ("shop", 200, True)
    assert second == first


def test_without_a_reason_it_says_so(shop: Shop) -> None:
    result = CliRunner().invoke(app, ["monitor", "model.yaml", "--at", "2026-01-01", "--no-html"])
    assert "retrain      no: there is no reason to" in result.stdout
    assert "drift        unknown: 0 predictions in the window, 100 are needed" in result.stdout


def test_a_model_that_was_never_trained_is_told_of_first_and_gets_no_page(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty, site = memory_store(), memory_store()
    monkeypatch.setattr("perennial.jobs.workspace.open_store", lambda settings: empty)
    for module in ("watch_files", "page.publishing"):
        monkeypatch.setattr(f"perennial.jobs.{module}.site_store", lambda settings: site)
    result = CliRunner().invoke(app, ["monitor", "model.yaml", "--at", NOW.isoformat(), "--no-html"])
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines()[0].startswith("nothing has been promoted yet")
    assert not list(site.list(""))
    monkeypatch.setattr("perennial.jobs.workspace.open_store", lambda settings: shop.store)
    result = CliRunner().invoke(app, ["monitor", "model.yaml", "--at", NOW.isoformat(), "--no-html"])
    assert "nothing has been promoted" not in result.stdout
    assert site.exists(keys.page_data("shop", "model.json"))
