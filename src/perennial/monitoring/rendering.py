"""HTML reports, made by Evidently in an environment of its own: a courtesy beside the findings, never a condition."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Kind = Literal["quality", "drift", "performance"]
MOST_ROWS = 5000
SECONDS = 180.0
VARIABLE = "PERENNIAL_MONITOR_PYTHON"
_SCRIPT = Path(__file__).with_name("evidently_report.py")
_KEPT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT")


@dataclass(frozen=True)
class Sheet:
    """One report to be made.

    ``current`` and ``reference`` (None: nothing to compare with) have the same columns; ``numbers``, ``categories`` and
    ``dates`` say what each is. ``more`` is what the kind needs besides, as ``evidently_report`` tells.
    """

    kind: Kind
    current: pa.Table
    reference: pa.Table | None
    numbers: Sequence[str] = ()
    categories: Sequence[str] = ()
    dates: Sequence[str] = ()
    more: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Rendered:
    """The reports that were made, as HTML that needs nothing else, and what went wrong with the others."""

    html: Mapping[Kind, bytes]
    problems: tuple[str, ...] = ()


def interpreter(env: Mapping[str, str] | None = None) -> Path | None:
    """The Python that has Evidently: ``PERENNIAL_MONITOR_PYTHON``, or that of the repository's own environment."""
    named = (os.environ if env is None else env).get(VARIABLE)
    if named:
        return Path(named)
    own = Path(__file__).resolve().parents[3] / ".local/envs/monitor/bin/python"
    return own if own.exists() else None


def render(python: Path | None, sheets: Sequence[Sheet], *, seconds: float = SECONDS) -> Rendered:
    """Make reports in a process of their own, all within ``seconds``. Never raises for a report that fails."""
    if not sheets:
        return Rendered({})
    if python is None:
        return Rendered({}, (f"there is no environment for them: run `make setup`, or name its Python by {VARIABLE}",))
    with tempfile.TemporaryDirectory(prefix="perennial-") as name:
        folder = Path(name)
        (folder / "job.json").write_text(json.dumps([_job(sheet, folder) for sheet in sheets]))
        problems = _run([str(python), str(_SCRIPT), str(folder / "job.json")], folder / "said", seconds)
        files = {sheet.kind: folder / f"{sheet.kind}.html" for sheet in sheets}
        return Rendered({kind: path.read_bytes() for kind, path in files.items() if path.exists()}, problems)


def _run(command: list[str], said: Path, seconds: float) -> tuple[str, ...]:
    """Run the script; its standard input stays open as long as we live, and it ends when that does."""
    environment = {name: os.environ[name] for name in _KEPT if name in os.environ}
    try:
        with (
            said.open("wb") as output,
            subprocess.Popen(  # noqa: S603 - our own script
                command, stdin=subprocess.PIPE, stdout=output, stderr=output, env=environment
            ) as process,
        ):
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                process.kill()
                return (f"they took longer than {seconds:g} seconds",)
            except BaseException:
                process.kill()
                raise
    except OSError as error:
        return (f"{command[0]} cannot be run: {error.strerror}",)
    lines = [line for line in said.read_text(errors="replace").splitlines() if line.strip()]
    return tuple(lines[-3:] or [f"exit code {code}"]) if code else ()


def _job(sheet: Sheet, folder: Path) -> dict[str, object]:
    files = {}
    for side, table in (("current", sheet.current), ("reference", sheet.reference)):
        file = folder / f"{sheet.kind}-{side}.parquet"
        if table is not None:
            pq.write_table(_sampled(table), file)
        files[side] = None if table is None else str(file)
    return {
        "kind": sheet.kind,
        "html": str(folder / f"{sheet.kind}.html"),
        "numbers": list(sheet.numbers),
        "categories": list(sheet.categories),
        "dates": list(sheet.dates),
        **files,
        **sheet.more,
    }


def _sampled(table: pa.Table) -> pa.Table:
    if table.num_rows <= MOST_ROWS:
        return table
    places = np.random.default_rng(0).choice(table.num_rows, MOST_ROWS, replace=False)
    return table.take(pa.array(np.sort(places)))
