"""Whatever ends us ends what we started: Airflow with all its processes, the demo, a step."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

RUN_DAG = """
import sys
from pathlib import Path
from perennial.deploy import scheduler
from perennial.deploy.interrupts import interruptible
scheduler.AIRFLOW = Path(sys.argv[1])
with interruptible():
    scheduler.run_dag("train_iris", {"AIRFLOW_HOME": sys.argv[2], "PATH": "/usr/bin:/bin"}, print)
"""
DEMO = """
import sys, time
from perennial import demo
def demonstrate(keep):
    demo.say("ready")
    time.sleep(60)
demo.demonstrate = demonstrate
sys.exit(demo.main([]))
"""
STEP = """
import sys
from perennial.jobs.local import run_step
run_step("snapshot", sys.argv[1], "one")
"""


def eventually(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


def lives(pid: int) -> bool:
    """Whether a process runs; one that ended and has not been waited for does not."""
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False).stdout
    return bool(state.strip()) and not state.strip().startswith("Z")


def heed_signals() -> None:
    """A test run in the background may have been started with these ignored, which its processes would inherit."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def start() -> Iterator[Start]:
    """Starts Python code as a process, which the test's end ends."""
    started = []

    def run(code: str, *arguments: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", code, *map(str, arguments)]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, preexec_fn=heed_signals))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_airflow_ends_with_all_its_processes(start: Start, tmp_path: Path, number: signal.Signals) -> None:
    airflow = tmp_path / "airflow"
    script = ["#!/bin/sh", f"cd '{tmp_path}'", "sleep 60 &", "echo $$ $! > writing", "mv writing pids", "wait", ""]
    airflow.write_text("\n".join(script))
    airflow.chmod(0o755)
    (tmp_path / "airflow.db").touch()
    process = start(RUN_DAG, airflow, tmp_path)
    pids = tmp_path / "pids"
    assert eventually(pids.exists)
    started = [int(pid) for pid in pids.read_text().split()]
    assert all(map(lives, started))
    process.send_signal(number)
    process.wait(timeout=20)
    assert eventually(lambda: not any(map(lives, started)))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_demo_ends_in_order(start: Start, number: signal.Signals) -> None:
    process = start(DEMO)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.stdout.read() == "Ended.\n"
    assert process.wait(timeout=20) == 130


def test_what_nohup_ignores_stays_ignored(start: Start) -> None:
    process = start("import signal; signal.signal(signal.SIGHUP, signal.SIG_IGN)\n" + DEMO)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=20) == 130


def test_a_step_ends_with_a_caller_that_is_killed(start: Start, tmp_path: Path) -> None:
    spec = tmp_path / "model.yaml"
    os.mkfifo(spec)  # nobody writes: whoever reads the spec waits for ever
    process = start(STEP, spec)

    def steps() -> list[int]:
        found = subprocess.run(
            ["ps", "-ww", "-A", "-o", "pid=,args="], capture_output=True, text=True, check=True
        ).stdout
        return [int(line.split()[0]) for line in found.splitlines() if f"--spec {spec}" in line]

    assert eventually(lambda: bool(steps()))
    (step,) = steps()
    process.kill()
    process.wait()
    assert eventually(lambda: not lives(step))
