"""Scoring by real PySpark, in its own environment: what runs there, and how a test starts it.

As a script it is a driver: in the first of its runs a worker of Spark is killed (SIGKILL) in the middle of its work,
where the rows of a part are stored and nobody knows of it yet. Usage: ``spark.py OUT MODEL RUN...``; to OUT go the exit
codes, and the rows of a frame with their scores.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from unittest.mock import patch

from perennial.scoring import spark_job
from perennial.scoring.batch import work
from perennial.scoring.spark import score_frame, session
from perennial.scoring.spark_tasks import Act, Job, Place, Told, score
from perennial.settings import Settings
from perennial.store_opening import open_store

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".local/envs/spark/bin/python"
KILLED_PART = 1
FRAME = (
    "Age int, CGPA double, `Sleep Duration` string, City string, Since date, tags array<string>",
    [
        (33, 8.97, "5-6 hours", "Pune", None, ["a", "b"]),
        (5, None, "5-6 hours", "Pune", None, None),
        (50, 0.1, "7-8 hours", "Nowhere", "2026-11-21", []),
        (None, 1.0, "8 hours", "Goa", None, None),
        (64, None, "7-8 hours", None, None, None),
        (21, -0.0, "Less than 5 hours", "Goa", "1969-12-31", None),
    ],
)


def spark_environment(env: Mapping[str, str], **more: str) -> dict[str, str]:
    """``env``, with the Java that set-up has found."""
    home = env.get("JAVA_HOME") or (ROOT / ".local/java").read_text().strip()
    return {**env, "JAVA_HOME": home, "PYTHONPATH": str(ROOT), **more}


def run_driver(env: Mapping[str, str], out: Path, model: str, runs: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run this file as a script, in the environment that has PySpark."""
    command = [str(PYTHON), str(Path(__file__)), str(out), model, *runs]
    return subprocess.run(command, env=dict(env), capture_output=True, text=True, check=False, timeout=240)


def deadly(marks: str) -> Act:
    """``score``, but of one part the first attempt is killed between its rows and its counts; it leaves a mark."""

    def act(job: Job, place: Place) -> Told:
        mark = Path(marks) / f"{place.file}-{place.part}"
        if place.part == KILLED_PART and not mark.exists():
            mark.touch()
            patch.object(work, "commit_part", lambda *_: os.kill(os.getpid(), signal.SIGKILL)).start()
        return score(job, place)

    return act


def main(out: Path, model: str, runs: Sequence[str]) -> int:
    settings = Settings.load()
    marks = out.parent / "killed"
    marks.mkdir()
    columns, rows = FRAME
    spark = session("frame", cores=2)  # the first job takes it over, and ends it
    frame = spark.createDataFrame([tuple(row) for row in rows], columns.replace("Since date", "Since string"))
    frame = frame.withColumn("Since", frame["Since"].cast("date")).coalesce(1)
    scored = score_frame(frame, open_store(settings), model)
    found = [row.asDict() for row in scored.collect()]
    codes: list[int] = []
    for run in runs:
        with patch.object(spark_job, "score", score if codes else deadly(str(marks))):
            codes.append(spark_job.main(["--bucket", settings.bucket, "--model", model, "--run", run, "--cores", "2"]))
    out.write_text(json.dumps({"codes": codes, "frame": found, "killed": len(list(marks.iterdir()))}, default=str))
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
