"""Every benchmark of the README, one after the other."""

from __future__ import annotations

import sys

from benchmarks import cycle, serving

if __name__ == "__main__":
    sys.exit(serving.main([]) or cycle.main([]))
