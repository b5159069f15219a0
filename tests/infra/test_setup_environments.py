"""Set-up is done once, redone when anything changes, and never taken for finished when it was interrupted."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The set-up script over an empty checkout, with a uv that notes its calls instead of installing."""
    spec = importlib.util.spec_from_file_location("environments", ROOT / "infra/setup/environments.py")
    assert spec and spec.loader
    module: Any = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "environments", module)
    spec.loader.exec_module(module)
    (tmp_path / "requirements").mkdir()
    for name in ("dev.txt", "build.txt", "ministack.txt"):
        (tmp_path / "requirements" / name).write_text(name)
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.setattr(module, "ROOT", tmp_path)
    monkeypatch.setattr(module, "LOCKS", tmp_path / "requirements")
    module.calls = []

    def uv(*arguments: str) -> None:
        module.calls.append(arguments[:2])
        if arguments[0] == "venv":
            python = Path(arguments[-1]) / "bin/python"
            python.parent.mkdir(parents=True, exist_ok=True)
            python.touch()

    monkeypatch.setattr(module, "uv", uv)
    made: ModuleType = module
    return made


def test_a_second_run_does_nothing(environments: ModuleType) -> None:
    main = environments.ENVIRONMENTS["main"]
    environments.make("main", main)
    assert environments.calls == [("venv", "--quiet"), ("pip", "sync"), ("pip", "install")]
    environments.calls.clear()
    environments.make("main", main)
    assert environments.calls == []


@pytest.mark.parametrize(
    ("file", "text", "redone"),
    [
        ("requirements/dev.txt", "changed", True),
        ("requirements/build.txt", "changed", True),
        ("pyproject.toml", "[project.scripts]\nother = 'a:b'", True),
        ("pyproject.toml", "[tool.ruff]\nline-length = 80", False),
        ("requirements/ministack.txt", "changed", False),
    ],
)
def test_a_change_is_taken_up(environments: ModuleType, file: str, text: str, redone: bool) -> None:
    main = environments.ENVIRONMENTS["main"]
    environments.make("main", main)
    (environments.ROOT / file).write_text(text)
    environments.calls.clear()
    environments.make("main", main)
    assert bool(environments.calls) == redone


def test_an_interrupted_set_up_is_redone(environments: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    ministack = environments.ENVIRONMENTS["ministack"]
    complete = environments.uv

    def interrupted(*arguments: str) -> None:
        complete(*arguments)
        if arguments[:2] == ("pip", "sync"):
            raise KeyboardInterrupt

    monkeypatch.setattr(environments, "uv", interrupted)
    with pytest.raises(KeyboardInterrupt):
        environments.make("ministack", ministack)
    monkeypatch.setattr(environments, "uv", complete)
    environments.calls.clear()
    environments.make("ministack", ministack)
    assert environments.calls == [("venv", "--quiet"), ("pip", "sync")]


def test_an_environment_whose_interpreter_is_gone_is_made_anew(environments: ModuleType) -> None:
    ministack = environments.ENVIRONMENTS["ministack"]
    environments.make("ministack", ministack)
    (environments.ROOT / ministack.folder / "bin/python").unlink()
    environments.calls.clear()
    environments.make("ministack", ministack)
    assert environments.calls


def test_what_cannot_be_made_says_why_and_what_to_do(environments: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    (environments.LOCKS / "uv.txt").write_text("uv")
    monkeypatch.setattr(environments, "UV_HOME", environments.ROOT / ".local/uv")
    monkeypatch.setattr(environments, "UV", environments.ROOT / ".local/uv/bin/uv")
    monkeypatch.setattr(environments, "attempt", lambda *commands: "ensurepip is not available")
    with pytest.raises(environments.SetupError, match=r"ensurepip is not available\n.*apt-get install python3-venv"):
        environments.make_uv()
    assert not environments.stamped(environments.UV_HOME, "")
