"""Run all suites and end with one line that counts them: ``run_tests.py [pytest options]``.

Two lanes run at once, which two cores allow; the first is shown when it is done. The DAG tests run in Airflow's own
environment, everything else in the main one.
"""

from __future__ import annotations

import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import IO

ROOT = Path(__file__).resolve().parents[2]
REPORTS = ROOT / ".local/test-reports"


@dataclass(frozen=True)
class Run:
    """One pytest process: an environment and the suites it runs, in order."""

    environment: str
    suites: tuple[str, ...]

    @property
    def report(self) -> Path:
        return REPORTS / f"{self.suites[0]}.xml"

    def start(self, options: list[str], output: IO[str] | None) -> subprocess.Popen[str]:
        self.report.unlink(missing_ok=True)
        python = ROOT / self.environment / "bin/python"
        folders = [f"tests/{suite}" for suite in self.suites]
        command = [str(python), "-m", "pytest", *folders, f"--junitxml={self.report}", *options]
        return subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, text=True
        )


QUIET = (Run(".venv", ("unit", "contract")), Run(".local/envs/airflow", ("dags",)))
SHOWN = Run(".venv", ("infra", "integration", "web", "e2e"))


def main(options: list[str]) -> int:
    started = time.monotonic()
    REPORTS.mkdir(parents=True, exist_ok=True)
    shown = SHOWN.start(options, None)
    running = [shown]
    codes = []
    try:
        for run in QUIET:
            with (REPORTS / f"{run.suites[0]}.log").open("w+") as log:
                process = run.start(options, log)
                running.append(process)
                codes.append(process.wait())
        codes.append(shown.wait())
    finally:
        for process in running:
            if process.poll() is None:
                process.terminate()
                process.wait()
    for run in QUIET:
        sys.stdout.write((REPORTS / f"{run.suites[0]}.log").read_text())
    total = sum((counts(run.report) for run in (*QUIET, SHOWN)), Counter[str]())
    parts = [f"{total[name]} {name}" for name in ("failed", "errors", "passed", "skipped") if total[name]]
    line = f" all suites: {', '.join(parts)} in {time.monotonic() - started:.0f} s "
    sys.stdout.write(line.center(100, "=") + "\n")
    return 1 if any(codes) else 0


def counts(report: Path) -> Counter[str]:
    """Outcomes of one run; a run that left no report counts as one error."""
    if not report.is_file():
        return Counter(errors=1)
    found = Counter[str]()
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        failed, errors, skipped = (int(suite.get(key, 0)) for key in ("failures", "errors", "skipped"))
        passed = int(suite.get("tests", 0)) - failed - errors - skipped
        found += Counter(passed=passed, failed=failed, errors=errors, skipped=skipped)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
