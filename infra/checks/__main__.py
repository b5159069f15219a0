"""``python -m infra.checks [bandit] [cfn-lint] [checkov]``: all of them by default.

Each has its list of known findings beside this file, ``<tool>.yaml``. A finding that is not in it fails, and so does an
entry whose finding is no more. The rules that are our own are in ``tests/support/template_rules``.
"""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from infra.checks.files import ROOT
from infra.checks.known import differences, read_known
from infra.checks.tools import TOOLS, ToolFailed


def main(names: list[str]) -> int:
    """Run the tools side by side; 0 where all they found is known, and still there."""
    unknown = [name for name in names if name not in TOOLS]
    if unknown:
        sys.stderr.write(f"There is no check {unknown[0]}. There are: {', '.join(TOOLS)}.\n")
        return 2
    with ThreadPoolExecutor(2) as pool:
        ended = list(pool.map(_check, names or list(TOOLS)))
    return max(ended)


def _check(name: str) -> int:
    try:
        known = read_known(Path(__file__).with_name(f"{name}.yaml"))
        found = TOOLS[name](ROOT)
    except (ToolFailed, ValueError) as error:
        sys.stderr.write(f"{name}: {error}\n")
        return 2
    lines = list(differences(found, known))
    for line in lines:
        sys.stderr.write(f"{name}: {line}\n")
    sys.stdout.write(f"{name}: {len(found)} findings, all of them known\n" if not lines else "")
    return 1 if lines else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
