"""Run one step in a process of its own, in the environment that holds the training libraries.

The scheduler's environment needs none of them; ``PERENNIAL_PYTHON`` names the interpreter that has
them (this one by default). The step's progress reaches the caller line by line, its result as JSON.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perennial.errors import PerennialError
from perennial.jobs.asked import Asked

# Usage, spec, data, integrity, training, refusal: the same input gives the same answer.
FINAL = frozenset({2, 3, 4, 7, 8, 9})
log = logging.getLogger(__name__)


class JobFailed(PerennialError):
    """A step's process ended with an error. Carries its exit code; ``final`` when trying again cannot help.

    Its exit code says so, unless ``final`` is given: of a job whose machine was too small.
    """

    def __init__(self, step: str, exit_code: int, reason: str, *, final: bool | None = None) -> None:
        super().__init__(f"Step {step} failed with exit code {exit_code}: {reason}")
        self.exit_code = exit_code
        self.final = exit_code in FINAL if final is None else final


def run_step(step: str, spec: str, run: str, **arguments: str | bool | None) -> dict[str, Any]:
    """Run ``step`` for the spec file ``spec`` in run ``run`` and return its result.

    Args:
        step: a name of ``perennial.jobs.steps.STEPS``.
        spec: path of a ``model.yaml``.
        run: id of the run; the same run and step always give the same result.
        arguments: what the step takes besides, as options of ``python -m perennial.jobs``.

    Raises:
        JobFailed: the process ended with an error; its last line is the reason.
    """
    python = os.environ.get("PERENNIAL_PYTHON") or sys.executable
    with tempfile.TemporaryDirectory(prefix="perennial-") as folder:
        result = Path(folder, "result.json")
        command = [python, "-m", "perennial.jobs", step, "--spec", spec, "--run", run, "--result", str(result)]
        command.append("--follow")
        command += Asked(step, spec, arguments).options()
        last = _follow(command)
        if last.code != 0:
            raise JobFailed(step, last.code, last.line)
        loaded: dict[str, Any] = json.loads(result.read_text())
        return loaded


class _Ended:
    def __init__(self, code: int, line: str) -> None:
        self.code, self.line = code, line


def _follow(command: list[str]) -> _Ended:
    """Run a command, passing each line on to the log; its process never outlives ours: it ends when its stdin does."""
    line = "no output"
    pipes: dict[str, int] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    with subprocess.Popen(command, text=True, env=job_environment(os.environ), **pipes) as process:  # type: ignore[call-overload]  # noqa: S603
        try:
            assert process.stdout is not None
            for raw in process.stdout:
                if text := raw.rstrip():
                    line = text
                    log.info("%s", text)
            return _Ended(process.wait(), line)
        except BaseException:
            process.kill()
            raise


def job_environment(env: Mapping[str, str]) -> dict[str, str]:
    """The caller's variables, less what would make the job's interpreter look into the caller's packages."""
    dropped = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__"}
    return {name: value for name, value in env.items() if name not in dropped}
