"""``make airflow`` says at once what is wrong, and ends whole: with stand-ins for Airflow's four parts."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
AIRFLOW = """#!/bin/sh
echo "$$" >"$AIRFLOW_HOME/$1.pid"
case "$1" in
    db) exit 0 ;;
    ${DYING:-none}) echo "the reason it ended"; exit 1 ;;
    *) exec sleep 60 ;;
esac
"""


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., subprocess.Popen[str]]:
    """Starts the script in a folder of its own."""
    setup = tmp_path / "infra/setup"
    setup.mkdir(parents=True)
    for name in ("airflow.sh", "airflow_check.py"):
        (setup / name).write_bytes((ROOT / "infra/setup" / name).read_bytes())
    command(tmp_path / ".venv/bin/perennial", "#!/bin/sh\necho 'export PERENNIAL_BUCKET=shop'\n")
    command(tmp_path / ".venv/bin/python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    command(tmp_path / ".local/envs/airflow/bin/airflow", AIRFLOW)

    def run(**env: str) -> subprocess.Popen[str]:
        given = {"PERENNIAL_SPECS": str(ROOT / "examples/iris"), "PORT": str(free_port())} | env
        return subprocess.Popen(
            ["/bin/sh", str(setup / "airflow.sh")], env=os.environ | given, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    return run


def command(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def parts(folder: Path) -> dict[str, int]:
    """Part -> its process, of those that were started."""
    return {file.stem: int(file.read_text()) for file in (folder / ".local/airflow").glob("*.pid") if file.stem != "db"}


def alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_specs_that_are_not_there_are_named_before_anything_starts(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    script = start(PERENNIAL_SPECS="examples/irsi")
    _, said = script.communicate(timeout=30)
    assert script.returncode != 0
    assert "PERENNIAL_SPECS names what is not there: examples/irsi." in said
    assert "make airflow PERENNIAL_SPECS=" in said
    assert parts(tmp_path) == {}


def test_a_folder_without_a_spec_is_refused(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    _, said = start(PERENNIAL_SPECS=str(tmp_path / "empty")).communicate(timeout=30)
    assert "holds no model.yaml" in said and parts(tmp_path) == {}


def test_a_port_that_is_taken_is_said_before_anything_starts(
    start: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        script = start(PORT=str(port))
        _, said = script.communicate(timeout=30)
    assert script.returncode != 0 and parts(tmp_path) == {}
    assert f"Port {port} cannot be used" in said and "make airflow PORT=8081" in said


@pytest.mark.parametrize("part", ["api-server", "triggerer"])
def test_where_one_part_ends_all_end(start: Callable[..., subprocess.Popen[str]], tmp_path: Path, part: str) -> None:
    script = start(DYING=part)
    shown, said = script.communicate(timeout=30)
    assert script.returncode == 1
    assert f"Airflow's {part} has ended" in said and "the reason it ended" in said
    assert "paused" in shown
    assert not [name for name, process in parts(tmp_path).items() if alive(process)]


def test_ctrl_c_ends_all_of_it(start: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> None:
    script = start()
    deadline = time.monotonic() + 30
    while len(parts(tmp_path)) < 4 and time.monotonic() < deadline:
        time.sleep(0.1)
    script.send_signal(signal.SIGTERM)
    shown, _ = script.communicate(timeout=30)
    assert script.returncode == 0 and shown.endswith("Ended.\n")
    assert not [name for name, process in parts(tmp_path).items() if alive(process)]
