"""`benchmarks/RESULTS.md`, and beside it `RESULTS.json`, which the regression gate compares with."""

from __future__ import annotations

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.figures import BOUNDS, Beside, Bound, Figure, read, write
from perennial.scoring.files import cpus

FOLDER = Path(__file__).parent
PAGE, RECORD = FOLDER / "RESULTS.md", FOLDER / "RESULTS.json"


Found = tuple[Sequence[Figure], Sequence[Beside]]


@dataclass(frozen=True)
class Run:
    """When and where a command was run, and of which versions."""

    day: str
    machine: str
    versions: tuple[str, ...]


@dataclass(frozen=True)
class Results:
    """What stands in `RESULTS.json`; ``runs`` by command."""

    figures: Sequence[Figure] = ()
    beside: Sequence[Beside] = ()
    runs: Mapping[str, Run] = field(default_factory=dict)


def load(path: Path = RECORD) -> Results:
    """What was recorded; nothing where nothing was."""
    if not path.exists():
        return Results()
    runs = json.loads(path.read_text())["runs"]
    return Results(
        *read(path), {command: Run(**run | {"versions": tuple(run["versions"])}) for command, run in runs.items()}
    )


def publish(new: Found, run: Run, *, record: Path = RECORD, page: Path = PAGE) -> None:
    """Write both files: what was measured now, and of the commands that were not run what stood there before."""
    found = together(load(record), new, run)
    page.write_text(told(found))
    runs = {command: asdict(one) for command, one in found.runs.items()}
    write(record, found.figures, found.beside, {"runs": runs})


def together(old: Results, new: Found, run: Run) -> Results:
    """What is new, in place of all that the same commands found before; all of it in the order of the bounds."""
    again = {one.command for one in new[0]} | {one.command for one in new[1]}
    figures = [one for one in old.figures if one.command not in again] + list(new[0])
    beside = [one for one in old.beside if one.command not in again] + list(new[1])
    order = list(BOUNDS)
    figures.sort(key=lambda one: order.index(one.key))
    commands = list(dict.fromkeys([one.command for one in figures] + [one.command for one in beside]))
    beside.sort(key=lambda one: commands.index(one.command))
    return Results(figures, beside, {command: run if command in again else old.runs[command] for command in commands})


def told(results: Results) -> str:
    """All of it as Markdown: the ratios with their bounds, what each includes, and who measured what on what.

    A ratio that was not measured is named as missing.
    """
    lines = [
        "# Measured beside what one would pick instead", "",
        "`make bench` leaves this. Both sides of a ratio were measured in one run, in turns, on the same rows; sides",
        "are medians (quartiles). Runs are never compared by seconds. *Must* is what we hold ourselves to, *moonshot*",
        "what we would like; commands are those of `.venv/bin/python`.", "",
        "| Ratio | measured | must | moonshot | |", "|---|---:|---:|---:|---|",
    ]  # fmt: skip
    found = {figure.key: figure for figure in results.figures}
    lines += [_ratio(found[key]) if key in found else f"| {key} | not measured | | | |" for key in BOUNDS]
    lines += ["", "## What each includes", "", "| Ratio | sides | includes | command |", "|---|---|---|---|"]
    lines += [f"| {one.key} | {one.sides} | {one.includes} | `{one.command}` |" for one in results.figures]
    if results.beside:
        lines += ["", "## Measured beside them", "", "| | | command |", "|---|---|---|"]
        lines += [f"| {one.name} | {one.text} | `{one.command}` |" for one in results.beside]
    lines += ["", "## When and where", ""]
    for run in dict.fromkeys(results.runs.values()):
        commands = ", ".join(f"`{command}`" for command, one in results.runs.items() if one == run)
        lines += [f"- {run.day}, on {run.machine}: {commands}. {', '.join(run.versions)}."]
    return "\n".join([*lines, ""])


def machine() -> str:
    """Processor, cores and memory, as far as the system tells."""
    parts = [f"{platform.machine()}, {cpus()} cores"]
    try:
        parts.insert(0, _field("/proc/cpuinfo", "model name"))
        parts.append(f"{int(_field('/proc/meminfo', 'MemTotal').split()[0]) / 1e6:.0f} GB")
    except (OSError, KeyError):
        pass
    return ", ".join([*parts, f"{platform.system()}, Python {platform.python_version()}"])


def _field(path: str, name: str) -> str:
    fields = (line.partition(":") for line in Path(path).read_text().splitlines())
    return {key.strip(): value.strip() for key, _, value in fields}[name]


def _ratio(figure: Figure) -> str:
    bound = figure.bound
    word = "moonshot" if bound.grand(figure.value) else "kept" if bound.kept(figure.value) else "**missed**"
    return f"| {figure.key} | {figure.value:.3g} | {_sign(bound)} {bound.must:g} | {_moonshot(bound)} | {word} |"


def _sign(bound: Bound) -> str:
    return "≥" if bound.more_is_better else "≤"


def _moonshot(bound: Bound) -> str:
    return "" if bound.moonshot is None else f"{_sign(bound)} {bound.moonshot:g}"
