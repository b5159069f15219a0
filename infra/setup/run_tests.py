"""Run all suites in order and end with one line that counts them: ``run_tests.py [pytest options]``.

The DAG tests run in Airflow's own environment, everything else in the main one.
"""

from __future__ import annotations

import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REPORTS = ROOT / ".local/test-reports"
RUNS = (
    ("unit, contract", ".venv", ("unit", "contract")),
    ("dags", ".local/envs/airflow", ("dags",)),
    ("infra, integration, web, e2e", ".venv", ("infra", "integration", "web", "e2e")),
)


def main(options: list[str]) -> int:
    started, total, failed = time.monotonic(), Counter[str](), False
    REPORTS.mkdir(parents=True, exist_ok=True)
    for title, environment, suites in RUNS:
        folders = [f"tests/{suite}" for suite in suites if any((ROOT / "tests" / suite).glob("test_*.py"))]
        if not folders:
            sys.stdout.write(f"{title}: no tests\n")
            failed = True
            continue
        report = REPORTS / f"{suites[0]}.xml"
        report.unlink(missing_ok=True)
        command = [str(ROOT / environment / "bin/python"), "-m", "pytest", *folders, f"--junitxml={report}", *options]
        failed |= subprocess.run(command, check=False, cwd=ROOT).returncode != 0
        total += counts(report)
    parts = [f"{total[name]} {name}" for name in ("failed", "errors", "passed", "skipped") if total[name]]
    line = f" all suites: {', '.join(parts)} in {time.monotonic() - started:.0f} s "
    sys.stdout.write(line.center(100, "=") + "\n")
    return 1 if failed else 0


def counts(report: Path) -> Counter[str]:
    """Outcomes of one run; a run that left no report counts as one error."""
    if not report.is_file():
        return Counter(errors=1)
    found = Counter[str]()
    for suite in ElementTree.parse(report).getroot().iter("testsuite"):
        tests, failures, errors, skipped = (
            int(suite.get(key, 0)) for key in ("tests", "failures", "errors", "skipped")
        )
        found += Counter(passed=tests - failures - errors - skipped, failed=failures, errors=errors, skipped=skipped)
    return found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
