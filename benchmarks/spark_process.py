"""What `benchmarks.spark` times, in the environment that has PySpark: a job on all processors, or one process without.

Usage: ``python -m benchmarks.spark_process spark|alone RUN FOLDER``; prints its figures as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from unittest.mock import patch

from perennial.scoring import spark_job
from perennial.scoring.spark import session
from perennial.scoring.spark_tasks import Act, Job, Place, Told, begin
from perennial.settings import Settings

MODEL = "logistic"


def timed(folder: str) -> Act:
    """``begin``, which leaves behind what it took: seconds, those of its process's processors, and that one's MB."""

    def act(job: Job, place: Place) -> Told:
        started, before = time.monotonic(), time.process_time()
        told = begin(job, place)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        figures = {"seconds": time.monotonic() - started, "processor": time.process_time() - before, "peak_mb": peak}
        (Path(folder) / f"{place.file}-{os.getpid()}.json").write_text(json.dumps(figures))
        return told

    return act


def main(how: str, run: str, folder: Path) -> int:
    job = spark_job.read_job(Settings.load().bucket, MODEL, run)
    act = timed(str(folder))
    started = time.monotonic()
    if how == "alone":
        setting_up = 0.0
        told = [act(job, Place(file)) for file in range(len(job.request.inputs))]
    else:
        spark = session("benchmark")
        setting_up = time.monotonic() - started
        with patch.object(spark_job, "begin", act):
            told = spark_job.run(spark, job)
        spark.stop()
    figures = {
        "seconds": time.monotonic() - started,
        "setting_up": setting_up,
        "rows": sum(one.counts.scored for one in told),
        "tasks": [json.loads(path.read_text()) for path in sorted(folder.iterdir())],
    }
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
