"""``perennial keys``: from a new key to one that is trusted no more, as people do it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from obstore.store import MemoryStore
from typer.testing import CliRunner, Result

from perennial.cli import app
from perennial.errors import PerennialError
from perennial.registry.manifest import MODEL_FILE
from perennial.registry.registry import Registry
from perennial.settings import Settings
from perennial.store import Store
from tests.support.models import build


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def told(*arguments: str) -> list[dict[str, Any]]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    return found if isinstance(found, list) else [found]


def refused(*arguments: str) -> PerennialError:
    error = run(*arguments).exception
    assert isinstance(error, PerennialError), error
    return error


@pytest.fixture
def raw(monkeypatch: pytest.MonkeyPatch) -> MemoryStore:
    """The bucket of every command, with the trust that the environment names at that moment."""
    raw = MemoryStore()

    def opened(settings: Settings) -> Store:
        return Store(raw, trust=settings.trust)

    for module in ("keys", "registry", "predict"):
        monkeypatch.setattr(f"perennial.cli.{module}.open_store", opened)
    for name in ("PERENNIAL_TRUSTED_KEYS", "PERENNIAL_SIGNING_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PERENNIAL_BUCKET", "memory")
    return raw


def test_keys_are_rotated_without_a_moment_in_which_nothing_serves(
    raw: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build()
    version = Registry(Store(raw)).publish(built.manifest, {MODEL_FILE: built.onnx})
    files = [str(tmp_path / f"{name}.pem") for name in ("old", "new")]
    old, new = (told("keys", "new", file)[0]["key"] for file in files)

    monkeypatch.setenv("PERENNIAL_TRUSTED_KEYS", old)
    monkeypatch.setenv("PERENNIAL_SIGNING_KEY", files[0])
    assert f"perennial keys sign iris {version}" in str(refused("promote", "iris", version))
    assert told("keys", "sign", "iris", version)[0]["version"] == version
    assert run("promote", "iris", version).exit_code == 0

    monkeypatch.setenv("PERENNIAL_TRUSTED_KEYS", f"{new},{old}")
    monkeypatch.setenv("PERENNIAL_SIGNING_KEY", files[1])
    assert [one["key"] for one in told("keys", "trusted")] == [new, old]
    assert [one["serves"] for one in told("keys", "sign", "--all-serving")] == ["champion"]
    assert len(told("keys", "list", "iris")[0]["keys"]) == 2

    monkeypatch.setenv("PERENNIAL_TRUSTED_KEYS", new)
    record = json.dumps({"sepal_length": 5.1, "sepal_width": 3.5, "petal_length": 1.4, "petal_width": 0.2})
    assert run("predict", "iris", record).exit_code == 0
    assert told("keys", "list")[0]["keys"] == [told("keys", "show")[0]["id"]]


def test_a_key_removed_before_anything_was_signed_anew_stops_what_serves(
    raw: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build()
    version = Registry(Store(raw)).publish(built.manifest, {MODEL_FILE: built.onnx})
    file = str(tmp_path / "old.pem")
    monkeypatch.setenv("PERENNIAL_TRUSTED_KEYS", told("keys", "new", file)[0]["key"])
    monkeypatch.setenv("PERENNIAL_SIGNING_KEY", file)
    told("keys", "sign", "iris", version)
    assert run("promote", "iris", version).exit_code == 0

    new = str(tmp_path / "new.pem")
    monkeypatch.setenv("PERENNIAL_TRUSTED_KEYS", told("keys", "new", new)[0]["key"])
    for command in (("predict", "iris", "{}"), ("keys", "sign", "--all-serving", "--key", new)):
        assert f"Sign it if it is yours: `perennial keys sign iris {version}`" in str(refused(*command))


def test_a_signature_that_counts_for_nothing_here_is_said_to(
    raw: MemoryStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build()
    version = Registry(Store(raw)).publish(built.manifest, {MODEL_FILE: built.onnx})
    trusted, other = (told("keys", "new", str(tmp_path / f"{name}.pem"))[0] for name in ("trusted", "other"))
    monkeypatch.setenv("PERENNIAL_TRUSTED_KEYS", trusted["key"])
    arguments = ("keys", "sign", "iris", version, "--key", str(tmp_path / "other.pem"))
    assert f"{other['id']}, which PERENNIAL_TRUSTED_KEYS does not name" in run(*arguments).output
    assert "does not name" not in run(*arguments[:-1], str(tmp_path / "trusted.pem")).output


def test_what_is_wanted_is_said_without_a_bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("PERENNIAL_BUCKET", "PERENNIAL_TRUSTED_KEYS", "PERENNIAL_SIGNING_KEY"):
        monkeypatch.delenv(name, raising=False)
    made = told("keys", "new", "key.pem")
    assert told("keys", "show", "--key", "key.pem") == made
    assert told("keys", "trusted") == []
    assert "perennial keys new" in str(refused("keys", "show"))


@pytest.mark.parametrize("arguments", [(), ("iris",), ("iris", "1", "--all-serving")])
def test_either_a_version_or_all_that_serve(raw: MemoryStore, arguments: tuple[str, ...]) -> None:
    assert "--all-serving" in str(refused("keys", "sign", *arguments))
