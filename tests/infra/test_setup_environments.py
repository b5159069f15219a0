"""Set-up is done once, redone when anything changes, and never taken for finished when it was interrupted."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def script(name: str, monkeypatch: pytest.MonkeyPatch) -> Any:
    """One of the scripts of infra/setup, which are no package, as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / f"infra/setup/{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The set-up script over an empty checkout, with a uv that notes its calls instead of installing."""
    module = script("environments", monkeypatch)
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


@pytest.fixture
def vision(environments: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The same, with PyTorch's lock, on a machine whose pip and uv find no PyTorch."""
    (environments.LOCKS / "vision.txt").write_text("vision")
    (environments.ROOT / ".local").mkdir()
    monkeypatch.setattr(environments, "make_uv", lambda: None)
    monkeypatch.setattr(environments, "ran", lambda command: False)
    return environments


def test_pytorch_is_the_cpu_build_that_pip_finds(vision: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def pip(command: list[str]) -> bool:
        asked.append(command[-1])
        (Path(command[command.index("--dest") + 1]) / "torch-2.13.0+cpu-cp311.whl").touch()
        return True

    monkeypatch.setattr(vision, "ran", pip)
    assert vision.main(["vision"]) == 0
    assert asked == [f"torch=={vision.TORCH}+cpu"]
    assert vision.calls == [("venv", "--quiet"), ("pip", "sync"), ("pip", "install")]
    assert list((vision.ROOT / ".local").glob("tmp*")) == []


def test_else_it_is_that_of_its_own_index(vision: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def only_uv(command: list[str]) -> bool:
        asked.append(command)
        return command[0] == str(vision.UV)

    monkeypatch.setattr(vision, "ran", only_uv)
    assert vision.main(["vision"]) == 0
    assert "--torch-backend cpu" in " ".join(asked[-1])
    asked.clear()
    assert vision.main(["vision"]) == 0
    assert asked == []


def test_without_a_build_it_is_refused_with_the_remedy(vision: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert vision.main(["vision"]) == 1
    problem, remedy = capsys.readouterr().err.splitlines()
    assert problem.startswith("No CPU build of PyTorch")
    assert "make vision PYTHON=" in remedy
    assert not (vision.ROOT / ".local/envs/vision").exists()


def test_where_it_may_be_left_out_the_others_are_made(vision: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert vision.main([vision.IF_POSSIBLE, "vision", "ministack"]) == 0
    assert "vision: left out. No CPU build of PyTorch" in capsys.readouterr().out
    assert vision.stamped(vision.ROOT / ".local/envs/ministack", vision.digest([vision.LOCKS / "ministack.txt"]))


def test_a_failing_network_is_never_taken_for_a_part_to_leave_out(
    vision: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unreachable(*arguments: str) -> None:
        raise vision.SetupError("uv pip failed")

    monkeypatch.setattr(vision, "uv", unreachable)
    assert vision.main([vision.IF_POSSIBLE, "vision"]) == 1


@pytest.fixture
def postgres(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The search for PostgreSQL on a machine that has none, by a user who may install nothing."""
    module = script("postgres", monkeypatch)
    monkeypatch.setattr(module, "NOTE", tmp_path / ".local/postgres")
    monkeypatch.setattr(module, "PLACES", (f"{tmp_path}/postgresql/*/bin",))
    monkeypatch.setattr(module.os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("PERENNIAL_POSTGRES", raising=False)
    return module


def server(folder: Path, *programs: str) -> Path:
    folder.mkdir(parents=True)
    for program in programs:
        (folder / program).touch(0o755)
    return folder


def test_the_newest_complete_server_is_taken(postgres: Any, tmp_path: Path) -> None:
    server(tmp_path / "postgresql/9/bin", "initdb", "postgres")
    newest = server(tmp_path / "postgresql/15/bin", "initdb", "postgres")
    server(tmp_path / "postgresql/16/bin", "initdb")  # the client's package
    assert postgres.main() == 0
    assert postgres.NOTE.read_text() == f"{newest}\n"


def test_the_server_that_is_named_is_taken(postgres: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    server(tmp_path / "postgresql/15/bin", "initdb", "postgres")
    own = server(tmp_path / "own", "initdb", "postgres")
    monkeypatch.setenv("PERENNIAL_POSTGRES", str(own))
    assert postgres.main() == 0
    assert postgres.NOTE.read_text() == f"{own}\n"


def test_without_a_server_the_remedy_is_said(postgres: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert postgres.main() == 1
    problem, remedy = capsys.readouterr().err.splitlines()
    assert problem.startswith("No PostgreSQL server is here")
    assert "apt-get install postgresql" in remedy
    assert "PERENNIAL_POSTGRES=" in remedy
    assert not postgres.NOTE.exists()


@pytest.fixture
def java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The search for Java on a machine that has none, by a user who may install nothing."""
    module = script("java", monkeypatch)
    monkeypatch.setattr(module, "NOTE", tmp_path / ".local/java")
    monkeypatch.setattr(module, "PLACES", (f"{tmp_path}/jvm/*/bin/java",))
    monkeypatch.setattr(module.os, "geteuid", lambda: 1000)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    return module


def runtime(home: Path, version: str, wrapper: Path | None = None) -> Path:
    """A Java that states its version and home as the real one does; with a wrapper, only that one can be run."""
    java = wrapper or home / "bin/java"
    java.parent.mkdir(parents=True)
    properties = f"Property settings:\n    java.home = {home}\n    java.specification.version = {version}"
    java.write_text(f'#!/bin/sh\nwhile read line; do echo "$line" >&2; done <<END\n{properties}\nEND\n')
    java.chmod(0o755)
    return home


def test_the_oldest_java_that_is_new_enough_is_taken(java: Any, tmp_path: Path) -> None:
    runtime(tmp_path / "jvm/java-8", "1.8")
    runtime(tmp_path / "jvm/java-11", "11")
    wanted = runtime(tmp_path / "jvm/java-17", "17")
    runtime(tmp_path / "jvm/java-25", "25")
    assert java.main() == 0
    assert java.NOTE.read_text() == f"{wanted}\n"


def test_the_java_on_the_path_is_taken_for_the_home_it_states(java: Any, tmp_path: Path) -> None:
    runtime(tmp_path / "jvm/java-17", "17")
    managed = runtime(tmp_path / "managed/21", "21", wrapper=tmp_path / "bin/java")
    assert java.main() == 0
    assert java.NOTE.read_text() == f"{managed}\n"


def test_the_java_that_is_named_is_taken(java: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime(tmp_path / "jvm/java-17", "17")
    own = runtime(tmp_path / "own", "21")
    monkeypatch.setenv("JAVA_HOME", str(own))
    assert java.main() == 0
    assert java.NOTE.read_text() == f"{own}\n"


def test_without_a_java_the_remedy_is_said(
    java: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("JAVA_HOME", str(runtime(tmp_path / "old", "11")))
    assert java.main() == 1
    problem, remedy = capsys.readouterr().err.splitlines()
    assert problem.startswith("No Java 17 or newer is here")
    assert "apt-get install openjdk-17-jre-headless" in remedy
    assert "JAVA_HOME=" in remedy
    assert not java.NOTE.exists()
