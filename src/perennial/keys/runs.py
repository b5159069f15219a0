"""Keys of what runs come to: monitoring, training, approvals, notices."""

from __future__ import annotations

from perennial.keys.names import segment


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


def run_candidate(m: str, run: str, candidate: str) -> str:
    """Outcome of training one candidate in one run."""
    return f"{m}/runs/{run}/candidates/{candidate}.json"


def run_step(m: str, run: str, step: str) -> str:
    """Result of one step of one run, so that a retried step finds its own."""
    return f"{m}/runs/{run}/steps/{step}.json"


def job_spec(m: str, digest: str) -> str:
    """The text of a spec as jobs on other machines read it, by its SHA-256 (hex): put-new."""
    return f"{m}/runs/specs/{digest}.yaml"


def job_result(m: str, run: str, name: str) -> str:
    """What the step of one job returned: put-new, so that of a job's attempts the first that came to its end counts."""
    return f"{m}/runs/{segment(run)}/jobs/{segment(name)}.json"


def outcomes(m: str) -> str:
    return f"{m}/runs/outcomes/"


def outcome(m: str, input_digest: str) -> str:
    """How training on one dataset version with one spec ended: says when there is nothing to do."""
    return f"{m}/runs/outcomes/{input_digest}.json"
