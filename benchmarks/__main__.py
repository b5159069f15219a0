"""Every benchmark of the README, one after the other."""

from __future__ import annotations

import sys

from benchmarks import batch, capture, cycle, monitoring, serving

if __name__ == "__main__":
    sys.exit(serving.main([]) or batch.main([]) or capture.main([]) or cycle.main([]) or monitoring.main([]))
