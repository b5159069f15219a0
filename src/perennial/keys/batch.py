"""Keys of files that are scored."""

from __future__ import annotations

from typing import Literal

from perennial.keys.names import segment


def batch_in(m: str, name: str = "") -> str:
    """Files to be scored: one that is created here is scored by itself."""
    return f"{m}/batch/in/{name}"


def batch_upload(m: str, job: str, name: str) -> str:
    """Where a file comes in through the API: scored as its request says, not as the spec does."""
    return batch_in(m, f"api/{job}/{name}")


def batch_uploads(m: str, job: str) -> str:
    """Prefix of what one client uploads."""
    return batch_in(m, f"api/{job}/")


def batch_waiting(m: str) -> str:
    """Files that the schedule scores, where the spec names no other place."""
    return f"{m}/batch/waiting/"


def batch_request(m: str, job: str) -> str:
    """What was asked for: an upload through the API, or a file that lies elsewhere. Creating one starts its scoring."""
    return f"{m}/batch/requests/{job}.json"


def batch_task(m: str, work: str, name: str) -> str:
    """One piece of the work on a file, such as ``part-000003`` or ``join``: creating it starts that piece."""
    return f"{m}/batch/tasks/{work}/{name}.json"


def batch_tasks(m: str, work: str) -> str:
    return f"{m}/batch/tasks/{work}/"


def batch_plan(m: str, work: str) -> str:
    """By which version, and in which parts, a file is scored: put-new, so that a late event finds the same."""
    return f"{m}/batch/status/{work}/plan.json"


def batch_progress(m: str, work: str) -> str:
    """How far the scoring of a file is: replaced as it goes on. What counts is the result."""
    return f"{m}/batch/status/{work}/progress.json"


def batch_result(m: str, work: str) -> str:
    """How the scoring of a file ended: put-new, THE COMMIT."""
    return f"{m}/batch/status/{work}/result.json"


def batch_works(m: str) -> str:
    """Prefix under which each file that came to be scored has a folder."""
    return f"{m}/batch/status/"


def batch_parts(m: str, work: str) -> str:
    """Prefix of the counts of the parts that are done."""
    return f"{m}/batch/status/{work}/parts/"


def batch_part(m: str, work: str, number: int) -> str:
    """The counts of one part of a file: put-new, once the part's rows are stored."""
    return f"{batch_parts(m, work)}{number:06d}.json"


def batch_piece(m: str, work: str, number: int, name: str) -> str:
    """Rows of one part before they are joined: ``scored`` or ``quarantined``. The bucket removes them after a week."""
    return f"_perennial/staging/{m}/batch/{work}/{number:06d}-{name}"


def batch_out(m: str, name: str, version: str, work: str, suffix: str) -> str:
    """The rows of a file with their predictions. ``name`` is that of the input, below ``batch/in/``."""
    return f"{m}/batch/out/{name}/{version[:12]}-{work[:16]}.{suffix}"


def batch_quarantine(m: str, name: str, version: str, work: str) -> str:
    """The rows of a file that were refused, each with its number, column and reason."""
    return f"{m}/batch/quarantine/{name}/{version[:12]}-{work[:16]}.csv"


def batch_folder(output: str) -> str:
    """Prefix of the parts that stand in place of one file ``output``, where the input was huge."""
    return f"{output}/"


def batch_folder_part(output: str, number: int) -> str:
    """One part of such a folder: a whole file of the same kind."""
    return f"{batch_folder(output)}part-{number:06d}.{output.rpartition('.')[2]}"


def batch_spark(m: str, run: str, name: str = "") -> str:
    """What a scoring by Spark reads and writes in one run."""
    return f"{m}/batch/spark/{segment(run)}/{name}"


def batch_spark_request(m: str, run: str) -> str:
    """What a job of Spark is to score: :class:`perennial.serving.batch_job.SparkRequest`."""
    return batch_spark(m, run, "request.json")


BatchEnd = Literal["done", "failed"]


def batch_receipt(m: str, fingerprint: str, end: BatchEnd) -> str:
    """How a file that a schedule saw came out, by a hash of its key, ETag and time: saves asking for its version."""
    return f"{batch_receipts(m)}{fingerprint}.{end}.json"


def batch_receipts(m: str) -> str:
    return f"{m}/batch/receipts/"


def batch_summary(m: str, run: str) -> str:
    """What a scheduled scoring came to, all its files together."""
    return f"{m}/batch/runs/{segment(run)}.json"


def batch_listings(m: str) -> str:
    """Prefix of the listings of pictures that a schedule found."""
    return f"{m}/batch/listings/"


def batch_listing(m: str, number: int) -> str:
    """The ``number``-th listing of pictures to be scored: put-new, so that a picture is in one of them only."""
    return f"{batch_listings(m)}{number:08d}.jsonl"


def batch_source(m: str, folder: str) -> str:
    """A folder among the model's own keys, such as ``batch/nightly/``, in which its owner puts files to be scored."""
    return f"{m}/{folder}"


_WRITTEN = ("out", "quarantine", "status", "tasks", "pieces", "requests", "spark", "receipts", "runs", "listings")


def batch_written(m: str, prefix: str) -> bool:
    """Whether what scoring itself writes may lie under a prefix, which is then no place to look for new files."""
    own = tuple(f"{m}/batch/{folder}/" for folder in _WRITTEN)
    return any(prefix.startswith(each) or each.startswith(prefix) for each in own)
