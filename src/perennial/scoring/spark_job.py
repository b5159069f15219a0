"""Score files by Spark: ``python -m perennial.scoring.spark_job --bucket B --model M --run R``.

What is to be scored stands in the bucket, under :func:`perennial.keys.batch_spark_request`. Each file is planned, and
scored at once where it is of one part; then the parts of all others are scored side by side, and then joined. A file
that cannot be scored has its result too, which says why, and is no reason to fail: the job fails where a file is left
without any. Repeated, it finds what is done.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from perennial import keys
from perennial.errors import PerennialError
from perennial.scoring.spark import refuse_pictures, session
from perennial.scoring.spark_tasks import Job, Place, Told, begin, in_tasks, join, score
from perennial.serving.batch_job import BatchCounts, SparkRequest
from perennial.serving.load import load
from perennial.settings import VARIABLES, Settings
from perennial.store_opening import open_store

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SHOWN = 20
MESSAGE = 500


def main(arguments: Sequence[str] | None = None) -> int:
    """Read the command line, score, say what came of it; gives the exit code."""
    parser = argparse.ArgumentParser(prog="python -m perennial.scoring.spark_job", description=(__doc__ or "").strip())
    parser.add_argument("--bucket", required=True, help="the bucket of the registry, the request and the results")
    parser.add_argument("--model", required=True)
    parser.add_argument("--run", required=True, help="names the request")
    parser.add_argument("--cores", type=int, help="of this machine, where spark-submit does not start it; all of them")
    options = parser.parse_args(arguments)
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    try:
        job = read_job(options.bucket, options.model, options.run)
        spark = session(f"perennial {options.model} {options.run}", cores=options.cores)
        try:
            told = run(spark, job)
        finally:
            spark.stop()
    except PerennialError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    except (PySparkException, Py4JError) as error:
        sys.stderr.write(f"Spark gave up: {reason(str(error))}\n")
        return 1
    problems = report(job, told)
    for line in problems[:SHOWN]:
        sys.stderr.write(f"{line}\n")
    return 1 if problems else 0


def read_job(bucket: str, model: str, run: str) -> Job:
    """What is to be scored; that the version of the model can be loaded is made sure of here, once.

    Raises:
        NotFoundError: there is no such request, or no such version.
        DataError: the model takes pictures.
        IntegrityError: the request is malformed, or the version cannot be verified.
        StoreUnavailable: S3 does not answer, or refuses.
    """
    settings = Settings.load(os.environ | {VARIABLES["bucket"]: bucket})
    store = open_store(settings)
    key = keys.batch_spark_request(model, run)
    request = SparkRequest.from_bytes(store.get(key).data, key)
    refuse_pictures(load(store, request.model, request.version).manifest)
    return Job(settings, request)


def run(spark: SparkSession, job: Job) -> list[Told]:
    """Score all files of a job; what came of each, in the order of the request."""
    sizes = [found.size for found in job.request.inputs]
    largest_first = sorted((Place(file) for file in range(len(sizes))), key=lambda place: -sizes[place.file])
    ended = dict(zip((place.file for place in largest_first), in_tasks(spark, job, largest_first, begin), strict=True))
    parts = [Place(place.file, part) for place in largest_first for part in range(ended[place.file].parts)]
    for place, told in zip(parts, in_tasks(spark, job, parts, score), strict=True):
        if told.problem:
            ended[place.file] = told
    whole = [place for place in largest_first if ended[place.file].parts]
    ended |= zip((place.file for place in whole), in_tasks(spark, job, whole, join), strict=True)
    return [ended[file] for file in range(len(sizes))]


def report(job: Job, told: Sequence[Told]) -> list[str]:
    """Say what came of it; the files that have no result, each with what went wrong."""
    counts = sum((one.counts for one in told), BatchCounts())
    failed = sum(one.state == "failed" for one in told)
    sys.stdout.write(
        f"{len(told):,} files: {sum(one.state == 'done' for one in told):,} scored, {failed:,} could not be; "
        f"{counts.rows:,} rows = {counts.scored:,} scored + {counts.quarantined:,} quarantined\n"
    )
    sys.stdout.flush()
    open_still = [
        f"{name}: {one.problem or 'was not finished.'}"
        for name, one in zip(job.request.names, told, strict=True)
        if one.state not in ("done", "failed")
    ]
    lost = [
        f"{name}: of {one.counts.rows} rows {one.counts.scored} were scored and {one.counts.quarantined} quarantined."
        for name, one in zip(job.request.names, told, strict=True)
        if one.counts.rows != one.counts.scored + one.counts.quarantined
    ]
    return open_still + lost


def reason(message: str) -> str:
    """What an error of Spark says that is of use to people: a Python error's last line, else Spark's own sentence."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    if any(line.startswith("Traceback") for line in lines):
        return lines[-1][:MESSAGE]
    own = next((line for line in lines if "SparkException" in line), lines[0] if lines else "it did not say why")
    return own.removeprefix(": ")[:MESSAGE]


if __name__ == "__main__":
    sys.exit(main())
