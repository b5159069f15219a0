"""Every S3 key, spelled once. ``m`` is always a model's name."""

from __future__ import annotations

import hashlib
import re

_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


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
