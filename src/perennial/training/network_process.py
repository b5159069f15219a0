"""The process that trains a network: in the interpreter that has PyTorch, watched, and never outlived by it."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from perennial.errors import TrainingError
from perennial.training.network.job import REFUSED, Result
from perennial.training.outcome import AGAIN

VARIABLE = "PERENNIAL_VISION_PYTHON"
SCRIPT = Path(__file__).with_name("network_script.py")
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")
_SET = {
    "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}  # fmt: skip
_KILLED = -9
_REMEDY = f"Run `make vision`, or name a Python that has the extra `vision` by {VARIABLE}."

Step = Mapping[str, Any]


def interpreter(env: Mapping[str, str] | None = None) -> Path | None:
    """The Python that has PyTorch: ``PERENNIAL_VISION_PYTHON``, or that of the repository's own environment."""
    named = (os.environ if env is None else env).get(VARIABLE)
    if named:
        return Path(named)
    own = Path(__file__).resolve().parents[3] / ".local/envs/vision/bin/python"
    return own if own.exists() else None


def run(python: Path | None, folder: Path, told: Callable[[Step], None], *, seconds: float) -> None:
    """Have the script do the job in ``folder``; ``told`` gets each of its steps.

    Its standard input stays open as long as we live, and it ends when that does.

    Raises:
        TrainingError: there is no such interpreter, it took longer than ``seconds``, it was killed, or the job cannot
            be done; says what to do.
    """
    if python is None:
        raise TrainingError("PyTorch is not installed, which trains networks.", remedy=f"{_REMEDY} {AGAIN}")
    said = folder / "said"
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | _SET
    try:
        with (
            said.open("wb") as errors,
            subprocess.Popen(  # noqa: S603 - our own script
                [str(python), "-I", "-B", str(SCRIPT), str(folder)], env=environment, text=True, errors="replace",
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors,
            ) as process,
        ):  # fmt: skip
            late = threading.Event()
            refused = _followed(process, told, seconds, late)
    except OSError as error:
        raise TrainingError(f"{python} cannot be run: {error.strerror}.", remedy=f"Correct {VARIABLE}.") from error
    _check(process.returncode, late.is_set(), refused, said, seconds)


def made(folder: Path) -> tuple[Result, bytes]:
    """What the script left: its result and the network in ONNX.

    Raises:
        TrainingError: it left nothing, as a program does that is not ours.
    """
    try:
        return Result(**json.loads((folder / "result.json").read_text())), (folder / "model.onnx").read_bytes()
    except FileNotFoundError as error:
        raise TrainingError("The process that trains ended well and left no network.", remedy=_REMEDY) from error


def _followed(
    process: subprocess.Popen[str], told: Callable[[Step], None], seconds: float, late: threading.Event
) -> str:
    """Pass on the steps until the process ends; why it refused, or nothing."""

    def end() -> None:
        late.set()
        process.kill()

    refused = ""
    clock = threading.Timer(seconds, end)
    clock.daemon = True
    clock.start()
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.endswith("\n"):
                break  # it ended in the middle of a word
            step = _step(line)
            refused = step.get("refused", refused)
            if "refused" not in step:
                told(step)
        process.wait()
    finally:
        clock.cancel()
        process.kill()  # whatever ended us ends it
    return refused


def _step(line: str) -> Step:
    """What the script says in one line. Raises TrainingError for what it would not say."""
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise TrainingError(
            f"What trains networks says what our script does not: {line.strip()[:80]!r}.",
            remedy=_REMEDY,
        )
    return found


def _check(code: int, late: bool, refused: str, said: Path, seconds: float) -> None:
    if code == 0:
        return
    if late:
        raise TrainingError(
            f"Training took longer than {seconds / 60:g} minutes.",
            remedy="Set params.minutes higher, or fewer epochs or a smaller size.",
        )
    if code == REFUSED and refused:
        raise TrainingError(f"The network cannot be trained: {refused}.")
    if code == _KILLED:
        raise TrainingError(
            "The process that trains was killed, as a machine does that runs out of memory.",
            remedy="Set a smaller params.batch or size, or give it more memory.",
        )
    lines = [line.strip() for line in said.read_text(errors="replace").splitlines() if line.strip()]
    last = lines[-1][:200] if lines else f"exit code {code}"
    missing = "No module named" in last
    raise TrainingError(
        f"The process that trains failed: {last}.",
        remedy=f"Run `make vision`, or correct {VARIABLE}." if missing else None,
    )
