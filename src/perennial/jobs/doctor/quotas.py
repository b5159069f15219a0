"""How many functions the account may run at a time: new accounts have ten, which is two files being scored."""

from __future__ import annotations

from collections.abc import Iterator

from perennial.jobs.doctor.finding import Finding, Patient, looking

LEAST = 50
CODE = "L-B99A9384"
"""Of Lambda's concurrent executions, as Service Quotas calls it."""


def quotas(patient: Patient) -> Iterator[Finding]:
    """What is left for functions that reserve nothing, the API's among them, of all that may run at a time."""
    with looking("functions at a time"):
        limit = patient.client("lambda").get_account_settings()["AccountLimit"]
    left, all_ = int(limit["UnreservedConcurrentExecutions"]), int(limit["ConcurrentExecutions"])
    more = f"aws service-quotas request-service-quota-increase --service-code lambda --quota-code {CODE}"
    yield Finding(
        what="functions at a time", ok=left >= LEAST, found=f"{left} of {all_} are not reserved",
        remedy=f"Reserve less, or ask for more: `{more} --desired-value 1000`.",
    )  # fmt: skip
