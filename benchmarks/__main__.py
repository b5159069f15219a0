"""Every benchmark of the README, one after the other."""

from __future__ import annotations

import sys

from benchmarks import batch, batch_function, capture, cycle, images, monitoring, serving, signing, spark

if __name__ == "__main__":
    parts = (serving, signing, images, batch, batch_function, spark, capture, cycle, monitoring)
    sys.exit(next((code for part in parts if (code := part.main([]))), 0))
