"""Every benchmark, one after the other; leaves `benchmarks/RESULTS.md`. `--only PART` runs one of them.

What has bounds takes the place of what the same part found before; the others only print.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path

from benchmarks.parts import BOUND, OTHERS, run
from benchmarks.results import Run, machine, publish
from benchmarks.versions import versions


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", choices=(*BOUND, *OTHERS))
    parser.add_argument("--bounds", action="store_true", help="only those whose ratios have bounds")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        for part in [one for one in BOUND if options.only in (None, one)]:
            found = run(part, Path(folder))
            publish(found, Run(date.today().isoformat(), machine(), tuple(versions())))  # at once: a later one may fail
    others = () if options.bounds else [one for one in OTHERS if options.only in (None, one)]
    for part in others:
        subprocess.run([sys.executable, "-m", f"benchmarks.{part}"], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
