"""Keys of what is predicted, and of what turned out true."""

from __future__ import annotations


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
