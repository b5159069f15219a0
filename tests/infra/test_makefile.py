"""The Makefile says what it does, and picks an interpreter that can do it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.fixture(autouse=True)
def outside_make(monkeypatch: pytest.MonkeyPatch) -> None:
    """`make test PYTHON=…` hands its own flags and variables down to every make below it."""
    for name in ("MAKEFLAGS", "MAKEOVERRIDES", "MFLAGS", "MAKELEVEL", "PYTHON"):
        monkeypatch.delenv(name, raising=False)


def test_help_lists_every_target_with_one_line() -> None:
    phony = re.search(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)
    assert phony
    listed = subprocess.run(["make", "help"], capture_output=True, text=True, check=True, cwd=ROOT).stdout.splitlines()
    assert [line.split()[1] for line in listed] == phony[1].split()
    assert all(len(line.split()) > 3 and len(line) <= 120 for line in listed)
    assert {"setup", "demo", "test", "up", "down", "lint", "build", "airflow", "bench", "lock", "clean"} <= set(
        phony[1].split()
    )


@pytest.mark.parametrize("target", ["setup", "up", "airflow"])
def test_who_monitors_has_the_environment_of_the_reports(target: str) -> None:
    done = subprocess.run(["make", "-n", target], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    assert "monitor" in done.splitlines()[0].split()


def test_tests_have_what_they_start() -> None:
    done = subprocess.run(["make", "-n", "test"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    made = {name for line in done.splitlines() if " environments.py " in line for name in line.split()[3:]}
    assert {"main", "ministack", "airflow", "sam", "node", "monitor", "mlflow", "spark", "schemas", "vision"} <= made
    assert "--if-possible vision" in done  # what not every machine has comes last
    assert {"browser.py", "postgres.py", "java.py"} <= set(done.split())


def test_it_stays_small() -> None:
    assert len(MAKEFILE.splitlines()) < 150


@pytest.mark.parametrize("home", ["/dev/null", "/nonexistent", ""])
def test_without_a_home_caches_go_below_the_repository(tmp_path: Path, home: str) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE + "\nshow:\n\t@echo home=$$HOME\n")
    env = {"PATH": os.environ["PATH"]}
    command = ["make", "-C", str(tmp_path), "show"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=env | {"HOME": home})
    assert f"home={tmp_path}/.local/home" in shown.stdout
    assert (tmp_path / ".local/home").is_dir()
    own = tmp_path / "own"
    own.mkdir()
    shown = subprocess.run(command, capture_output=True, text=True, check=True, env=env | {"HOME": str(own)})
    assert f"home={own}\n" in shown.stdout


def test_commands_get_the_variables_it_exports(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE + "\nshow:\n\t@env\n")
    env = os.environ | {"PYTHON": "python3.12", "PYTHONPATH": "/elsewhere"}
    shown = subprocess.run(["make", "-C", str(tmp_path), "show"], capture_output=True, text=True, check=True, env=env)
    lines = shown.stdout.splitlines()
    assert {"PYTHON=python3.12", "PYTHONNOUSERSITE=1", "SAM_CLI_TELEMETRY=0"} <= set(lines)
    assert not any(line.startswith(("PYTHONPATH=", "VIRTUAL_ENV=")) for line in lines)


def test_make_j_runs_one_target_after_the_other(tmp_path: Path) -> None:
    """`make -j2 test` must not lint, set up and test at once."""
    targets = "\nshow: first second\nfirst:\n\t@echo 1; sleep 0.3; echo 2\nsecond:\n\t@echo 3\n"
    (tmp_path / "Makefile").write_text(MAKEFILE + targets)
    shown = subprocess.run(["make", "-j2", "-C", str(tmp_path), "show"], capture_output=True, text=True, check=True)
    assert [line for line in shown.stdout.splitlines() if line.isdigit()] == ["1", "2", "3"]


def test_clean_goes_on_where_down_fails(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_text(MAKEFILE)
    (tmp_path / ".venv").mkdir()
    fake(tmp_path / ".venv/bin", "python", "exit 11")
    subprocess.run(["make", "-C", str(tmp_path), "clean"], capture_output=True, check=True)
    assert not (tmp_path / ".venv").exists()


def fake(folder: Path, name: str, script: str) -> None:
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


def choose(tmp_path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the choice of an interpreter on a PATH of fakes; the script it starts tells which one it got."""
    (tmp_path / "setup.sh").write_bytes((ROOT / "infra/setup/setup.sh").read_bytes())
    (tmp_path / "which.py").write_text("import sys; print(sys.executable, *sys.argv[1:])")
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin" if "PATH" not in env else env.pop("PATH")
    command = ["/bin/sh", str(tmp_path / "setup.sh"), "which.py", "one", "two"]
    return subprocess.run(command, capture_output=True, text=True, check=False, env={"PATH": path} | env)


def test_a_version_manager_s_wrapper_is_resolved(tmp_path: Path) -> None:
    fake(tmp_path / "bin", "python3", f'exec "{sys.executable}" "$@"')
    result = choose(tmp_path)
    real = getattr(sys, "_base_executable", sys.executable)
    assert result.stdout.split() == [real, "one", "two"]


def test_the_one_that_is_named_is_taken(tmp_path: Path) -> None:
    fake(tmp_path / "bin", "python3", "exit 1")
    fake(tmp_path / "bin", "chosen", f'exec "{sys.executable}" "$@"')
    assert choose(tmp_path, PYTHON=str(tmp_path / "bin/chosen")).returncode == 0


def test_the_next_is_tried_where_python3_is_too_old(tmp_path: Path) -> None:
    fake(tmp_path / "bin", "python3", "exit 1")
    fake(tmp_path / "bin", "python3.13", f'exec "{sys.executable}" "$@"')
    assert choose(tmp_path).returncode == 0


@pytest.mark.parametrize("named", [True, False])
def test_none_that_fits_is_one_clear_line_and_a_remedy(tmp_path: Path, named: bool) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13"):
        fake(tmp_path / "bin", name, '[ "$1" = -V ] && echo "Python 3.9.1"; exit 1')
    fake(tmp_path / "bin", "dirname", 'exec /usr/bin/dirname "$@"')
    env = {"PYTHON": str(tmp_path / "bin/python3")} if named else {}
    result = choose(tmp_path, **env)
    assert result.returncode == 1
    problem, remedy = result.stderr.splitlines()
    assert problem.startswith("Python 3.11, 3.12 or 3.13 is needed; found:")
    assert "Python 3.9.1" in problem
    assert "make PYTHON=" in remedy


def test_continuous_integration_runs_the_same_command() -> None:
    script = ROOT / ".ci/run"
    assert os.access(script, os.X_OK)
    assert "exec make test" in script.read_text()
