"""Every S3 key, spelled once. ``m`` is always a model's name."""

from __future__ import annotations

import hashlib
import re
from typing import Literal

LandingKind = Literal["landed", "feedback", "labels"]

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_LISTING = re.compile(r"[^/]+-[0-9a-f]{16}\.parquet")


def segment(text: str) -> str:
    """Free text, such as an op_id, as one path segment: itself where that is safe, else named by its hash."""
    if _SAFE.fullmatch(text) and not text.startswith("sha256-"):
        return text
    return f"sha256-{hashlib.sha256(text.encode()).hexdigest()}"


def landing(m: str, name: str = "") -> str:
    """What users and feedback bring; never modified."""
    return f"{m}/landing/{name}"


def dataset_blob(m: str, digest: str) -> str:
    return f"{m}/datasets/blobs/sha256/{digest}"


def datasets(m: str) -> str:
    """Prefix under which each dataset version has its manifest."""
    return f"{m}/datasets/"


def dataset_manifest(m: str, dataset_id: str) -> str:
    return f"{m}/datasets/{dataset_id}/manifest.json"


def quarantines(m: str) -> str:
    """Where refused rows stand, one file for each landing file that had any."""
    return f"{m}/datasets/quarantine/"


def quarantine(m: str, digest: str, schema: str) -> str:
    """Rows of one landing file (by its digest) that one schema (by its digest) refused."""
    return f"{m}/datasets/quarantine/{digest}-{schema[:16]}.jsonl"


def receipt(m: str, fingerprint: str) -> str:
    """Digest of a landing file as it was once read, by a hash of its key, size and ETag: saves reading it again."""
    return f"{m}/datasets/receipts/{fingerprint}.json"


def collected(m: str, kind: LandingKind, number: int) -> str:
    """The ``number``-th file of labelled predictions that went into landing: of ``feedback`` or ``labels``."""
    return landing(m, f"{kind}/{number:08d}.parquet")


def landing_kind(m: str, key: str) -> LandingKind:
    """How a file of landing came: collected from feedback, from label files, or landed by its owner."""
    kinds: tuple[LandingKind, ...] = ("feedback", "labels")
    for kind in kinds:
        if key.startswith(landing(m, f"{kind}/")):
            return kind
    return "landed"


def landed_by_hand(m: str, key: str) -> bool:
    """Whether its owner put a file into landing, and so can mend it: it was neither collected, pulled nor gathered."""
    made = key.startswith(landing(m, "sql/")) or is_gathered(m, key)
    return landing_kind(m, key) == "landed" and not made


def pulled(m: str, source: str, number: int) -> str:
    """The ``number``-th file that a SQL source brought."""
    return landing(m, f"sql/{source}/{number:08d}.parquet")


def pulled_files(m: str, source: str) -> str:
    """Prefix of the files that a SQL source brought."""
    return landing(m, f"sql/{source}/")


def pull_staging(m: str, source: str, run: str) -> str:
    """What a query gave in one run, before the rows that are there already are taken out; it may be removed then."""
    return f"_perennial/staging/{m}/{source}/{segment(run)}.parquet"


def image(m: str, digest: str) -> str:
    """The bytes of one picture, landed or asked about, by their SHA-256 (hex): put-new."""
    return f"{m}/images/sha256/{digest}"


def gathered(m: str, number: int) -> str:
    """The ``number``-th listing of pictures that were found loose in landing, or fetched from addresses."""
    return landing(m, f"gathered/{number:08d}.parquet")


def gathered_files(m: str) -> str:
    """Prefix of the listings of what was gathered."""
    return landing(m, "gathered/")


def is_gathered(m: str, key: str) -> bool:
    """Whether a file of landing is such a listing; a picture of a class of that name is none."""
    return _numbered(key.removeprefix(gathered_files(m)))


def listing(m: str, name: str, digest: str) -> str:
    """A listing of pictures that were landed together from ``name``, by the SHA-256 (hex) of its bytes."""
    return landing(m, f"listings/{name}-{digest[:16]}.parquet")


def is_listing(m: str, key: str) -> bool:
    """Whether a file of landing lists pictures that are stored: landed, gathered, or asked about."""
    name = key.removeprefix(landing(m))
    folder, _, leaf = name.partition("/")
    if folder == "listings":
        return _LISTING.fullmatch(leaf) is not None
    return folder in ("gathered", "feedback", "labels") and _numbered(leaf)


def _numbered(name: str) -> bool:
    return re.fullmatch(r"\d{8}\.parquet", name) is not None


def backbone(name: str) -> str:
    """What a name of a frozen extractor stands for: put-new, so that it never means another."""
    return f"_perennial/backbones/{name}.json"


def backbones() -> str:
    return "_perennial/backbones/"


def backbone_blob(digest: str) -> str:
    """The graph of an extractor, by its SHA-256 (hex)."""
    return f"_perennial/backbones/sha256/{digest}"


def predictions(m: str, date: str = "") -> str:
    """Prefix of the captured predictions, of all days or of one (``2026-11-21``, UTC)."""
    return f"{m}/predictions/{date}/" if date else f"{m}/predictions/"


def prediction_batch(m: str, date: str, first: str, last: str, digest: str) -> str:
    """One batch of captured lines: the times of its first and last prediction (``HHMMSSmmm``), and its hash."""
    return f"{m}/predictions/{date}/{first}-{last}-{digest[:32]}.jsonl"


def feedback(m: str, date: str = "") -> str:
    """Prefix of the ground truth given through the API, by the day of the prediction (UTC)."""
    return f"{m}/feedback/{date}/" if date else f"{m}/feedback/"


def label(m: str, date: str, prediction_id: str) -> str:
    """The ground truth of one prediction: put-new, so that a repeated label counts once."""
    return f"{m}/feedback/{date}/{prediction_id}.json"


def contradiction(m: str, date: str, prediction_id: str) -> str:
    """The first label that contradicted the one that stands."""
    return f"{m}/feedback/{date}/{prediction_id}.contradicted.json"


def label_files(m: str) -> str:
    """Prefix of the label files that were landed."""
    return f"{m}/labels/"


def label_file(m: str, digest: str) -> str:
    return f"{m}/labels/{digest}.parquet"


FEEDBACK_KEY = "_perennial/feedback.key"
"""What feedback tokens are signed with: 32 random bytes, made by the first server of a deployment."""


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


def monitor_runs(m: str) -> str:
    """Prefix under which each monitoring pass has a folder, named by its time."""
    return f"{m}/monitor/runs/"


def monitor_file(m: str, run: str, name: str) -> str:
    """One file of a monitoring pass, such as ``drift.json`` or ``drift.html``. ``run`` begins with its time."""
    return f"{m}/monitor/runs/{run}/{name}"


def monitor_history(m: str) -> str:
    """Prefix of the short summaries that are kept when reports are removed."""
    return f"{m}/monitor/history/"


def monitor_summary(m: str, run: str) -> str:
    return f"{m}/monitor/history/{run}.json"


def training_lock(m: str) -> str:
    """Who trains now: replaced by compare-and-swap alone."""
    return f"{m}/runs/lock.json"


def approval_request(m: str, version: str) -> str:
    """A version that passed the gate and waits for a person."""
    return f"{m}/approvals/{version}/request.json"


def approval(m: str, version: str) -> str:
    """What the person said: put-new, so the first answer stands."""
    return f"{m}/approvals/{version}/answer.json"


def approvals(m: str) -> str:
    return f"{m}/approvals/"


def notice(m: str, event: str) -> str:
    """One message that was to be sent: put-new, so that an event is told once."""
    return f"{m}/notices/{segment(event)}.json"


def notice_sent(m: str, event: str) -> str:
    return f"{m}/notices/{segment(event)}.sent.json"


PAGE_ROOT = "data/"
"""Prefix of all that pages read, in the bucket of the site: it stays when the site itself is published anew."""

PAGE_INDEX = f"{PAGE_ROOT}index.json"
"""Which models have a page."""


def page_data(m: str, name: str) -> str:
    """A file of the model's page, in the bucket of the site."""
    return f"{PAGE_ROOT}{m}/{name}"


def page_version(m: str, version: str, name: str) -> str:
    """A file of a version, such as ``roc.svg``, as the model's page shows it."""
    return page_data(m, f"versions/{version}/{name}")


def page_reports(m: str) -> str:
    """Prefix under which the model's page has a folder for each monitoring pass."""
    return page_data(m, "monitor/")


def page_report(m: str, run: str, name: str) -> str:
    """A file of a monitoring pass, such as ``drift.html``, as the model's page links it."""
    return page_data(m, f"monitor/{run}/{name}")


def run_candidate(m: str, run: str, candidate: str) -> str:
    """Outcome of training one candidate in one run."""
    return f"{m}/runs/{run}/candidates/{candidate}.json"


def run_step(m: str, run: str, step: str) -> str:
    """Result of one step of one run, so that a retried step finds its own."""
    return f"{m}/runs/{run}/steps/{step}.json"


def registry_blob(m: str, digest: str) -> str:
    return f"{m}/registry/blobs/sha256/{digest}"


def versions(m: str) -> str:
    return f"{m}/registry/versions/"


def version_manifest(m: str, version: str) -> str:
    return f"{m}/registry/versions/{version}/manifest.json"


def log_entries(m: str) -> str:
    return f"{m}/registry/log/"


def log_entry(m: str, generation: int) -> str:
    """The commit: creating this object is the state change."""
    return f"{m}/registry/log/{generation:08d}.json"


def intent(m: str, op_id: str) -> str:
    """The generation at which an operation was first tried: bounds the search for its own commit."""
    return f"{m}/registry/ops/{segment(op_id)}.json"


def intents(m: str) -> str:
    return f"{m}/registry/ops/"


def gate_decision(m: str, op_id: str) -> str:
    """The gate's answer, kept whether it passed or failed."""
    return f"{m}/registry/gates/{segment(op_id)}.json"


def alias(m: str, name: str) -> str:
    return f"{m}/registry/alias/{name}.json"


def outcomes(m: str) -> str:
    return f"{m}/runs/outcomes/"


def outcome(m: str, input_digest: str) -> str:
    """How training on one dataset version with one spec ended: says when there is nothing to do."""
    return f"{m}/runs/outcomes/{input_digest}.json"
