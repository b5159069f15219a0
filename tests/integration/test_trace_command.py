"""``perennial trace`` on the embedded AWS: found among batches in real S3, as JSON and as lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from perennial.cli import app
from perennial.cli.output import guarded
from perennial.registry.registry import Registry
from perennial.store import Store
from tests.support.captures import capture, line, prediction_id
from tests.support.signing import signed
from tests.support.versions import spec, version

MODEL = "traced"
ASKED = datetime(2024, 11, 21, 9, 30, tzinfo=UTC)


@pytest.fixture
def asked(store: Store) -> str:
    """A prediction of a version whose dataset is gone."""
    manifest, files = version(spec=spec(name=MODEL))
    registry = Registry(store)
    signed(store, MODEL, registry.publish(manifest, files))
    entry = registry.promote(MODEL, manifest.version, op_id="one", actor="ada", reason="the first", now=ASKED)
    made = line(MODEL, ASKED, 1, {"Age": 40.0, "Gender": "F"}, "1", version=manifest.version)
    capture(store, [made.model_copy(update={"generation": entry.generation})])
    return made.prediction_id


def test_a_prediction_is_traced_from_the_command_line(asked: str) -> None:
    printed = CliRunner().invoke(app, ["trace", asked])
    assert printed.exit_code == 0, printed.output
    assert "promotion by ada" in printed.output and "Gender = F" in printed.output
    assert "missing     Model traced has no dataset dddddddddddd." in printed.output
    found = json.loads(CliRunner().invoke(app, ["trace", asked, "--model", MODEL, "--json"]).output)
    assert found["prediction"]["prediction_id"] == asked and found["dataset"] is None
    assert found["champion"]["reason"] == "the first"


def test_an_id_that_was_never_captured_ends_with_its_exit_code(asked: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        guarded(lambda: app(["trace", prediction_id(ASKED, 2), "--model", MODEL], standalone_mode=False))
    assert ended.value.code == 5
    assert "traced would have kept it" in capsys.readouterr().err
