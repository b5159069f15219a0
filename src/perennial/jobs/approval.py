"""A person decides: what is asked of them, what they answered, and that the first answer stands."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import quote, urljoin

from pydantic import ValidationError

from perennial import keys
from perennial.errors import AlreadyExistsError, ConflictError, IntegrityError, NotFoundError
from perennial.jobs.airflow_rest import TaskPlace
from perennial.jobs.judge import gate
from perennial.jobs.results import ApprovalAnswer, StepResult
from perennial.jobs.workspace import R, Workspace
from perennial.registry.manifest import Metric, ModelManifest
from perennial.registry.registry import Registry
from perennial.spec import canonical
from perennial.store import Store

NOBODY = "nobody in time"
"""Who answers where a request times out."""


class ApprovalRequest(StepResult):
    """A version that passed the gate and waits for a person until ``until``.

    ``subject`` and ``body`` (Markdown) are what the person reads; ``card`` is the key of the version's card, ``page``
    where both models stand side by side. ``asked_by`` is the parked task of Airflow, None where it was none.
    """

    model: str
    version: str
    run: str
    at: datetime
    until: datetime
    champion: str | None
    reasons: tuple[str, ...]
    subject: str
    body: str
    card: str
    page: str | None = None
    asked_by: TaskPlace | None = None


class AnswerStands(ConflictError):
    """The request has been answered otherwise. Carries the answer that stands."""

    def __init__(self, model: str, answer: ApprovalAnswer) -> None:
        said = "approved" if answer.approved else "rejected"
        remedy = f"`perennial rollback {model}` goes back." if answer.approved else (
            f"`perennial promote {model} {answer.version}` promotes it all the same."
        )  # fmt: skip
        super().__init__(
            f"Version {answer.version} of {model} was {said} by {answer.by} at {answer.at:%Y-%m-%d %H:%M:%S} UTC; "
            "the first answer stands.",
            remedy=remedy,
        )
        self.answer = answer


def request_approval(w: Workspace, asked_by: TaskPlace | None = None) -> ApprovalRequest:
    """Ask a person whether the version that passed the gate may serve. Repeated, it gives the first request."""
    decision = gate(w)
    registry = Registry(w.store)
    head = registry.head(w.spec.name)
    version = registry.manifest(w.spec.name, decision.version)
    champion = registry.manifest(w.spec.name, head.version) if head and head.version != decision.version else None
    now = w.now()
    request = ApprovalRequest(
        model=w.spec.name,
        version=decision.version,
        run=w.run,
        at=now,
        until=now + w.spec.gate.approval_timeout,
        champion=champion.version if champion else None,
        reasons=decision.reasons,
        subject=f"{w.spec.name}: may version {decision.version} serve?",
        body="",
        card=_card(version),
        page=_page(w),
        asked_by=asked_by,
    )
    request = request.model_copy(update={"body": _body(request, version, champion)})
    return w.once(keys.approval_request(w.spec.name, decision.version), ApprovalRequest, lambda: request)


def answer_approval(w: Workspace, *, approved: bool, by: str, reason: str = "") -> ApprovalAnswer:
    """Record what a person said of the version of this run; the same answer again changes nothing.

    Raises:
        AnswerStands: it has been answered otherwise.
    """
    return record_answer(
        w.store,
        w.spec.name,
        ApprovalAnswer(version=gate(w).version, approved=approved, by=by or NOBODY, at=w.now(), reason=reason),
    )


def record_answer(store: Store, model: str, answer: ApprovalAnswer) -> ApprovalAnswer:
    """Keep an answer, or find the one that was given before. Raises AnswerStands where that is another one."""
    try:
        store.put_new(keys.approval(model, answer.version), canonical(answer.model_dump(mode="json")))
    except AlreadyExistsError:
        first = find_answer(store, model, answer.version)
        assert first is not None  # it stands in the way
        if first.approved != answer.approved:
            raise AnswerStands(model, first) from None
        return first
    return answer


def find_answer(store: Store, model: str, version: str) -> ApprovalAnswer | None:
    """What a person said of a version; None as long as nobody has."""
    key = keys.approval(model, version)
    found = store.find(key)
    return _read(ApprovalAnswer, found.data, key) if found else None


def find_request(store: Store, model: str, version: str) -> ApprovalRequest:
    """What was asked about a version. Raises NotFoundError naming what else waits."""
    key = keys.approval_request(model, version)
    found = store.find(key)
    if found is None:
        raise NotFoundError(f"Nobody was asked about version {version} of {model}.", remedy=_waiting(store, model))
    return _read(ApprovalRequest, found.data, key)


def pending(store: Store, model: str) -> list[ApprovalRequest]:
    """All versions of a model that wait for a person, oldest request first; also those whose time is over."""
    found = [find_request(store, model, version) for version in store.folders(keys.approvals(model))]
    waiting = [request for request in found if find_answer(store, model, request.version) is None]
    return sorted(waiting, key=lambda request: request.at)


def the_one_pending(store: Store, model: str) -> ApprovalRequest:
    """The only version that waits. Raises NotFoundError where there is none, or more than one."""
    found = pending(store, model)
    if len(found) > 1:
        versions = ", ".join(request.version for request in found)
        raise NotFoundError(f"{len(found)} versions of {model} wait: {versions}.", remedy="Name the version.")
    if not found:
        raise NotFoundError(f"No version of {model} waits for approval.", remedy=_waiting(store, model))
    return found[0]


def _waiting(store: Store, model: str) -> str:
    names = [model, *(name for name in store.folders() if name != model)]
    found = [f"{request.model} {request.version}" for name in names for request in pending(store, name)]
    if cut_off := _cut_off(store, model):
        return f"Approved but not promoted: `perennial approve {model} {cut_off}` finishes it."
    return f"Waiting: {', '.join(found)}." if found else "Nothing waits for approval."


def _cut_off(store: Store, model: str) -> str | None:
    """The version that was approved last, where it never came to serve: who approved it was killed, or was refused."""
    answers = [answer for v in store.folders(keys.approvals(model)) if (answer := find_answer(store, model, v))]
    last = max(answers, key=lambda answer: answer.at, default=None)
    if last is None or not last.approved or find_request(store, model, last.version).asked_by is not None:
        return None
    served = {entry.version for entry in Registry(store).log(model)}
    return None if last.version in served else last.version


def _read(kind: type[R], data: bytes, key: str) -> R:
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        raise IntegrityError(f"{key} is malformed.", remedy="It was not written by Perennial; restore it.") from error


def _page(w: Workspace) -> str | None:
    site = w.settings.site_url if w.settings else None
    return urljoin(site, f"model.html#{quote(w.spec.name)}") if site else None


def _card(version: ModelManifest) -> str:
    return keys.registry_blob(version.model, version.files["card.html"].digest)


def _body(request: ApprovalRequest, version: ModelManifest, champion: ModelManifest | None) -> str:
    """The request in Markdown: both models side by side, what the gate says, and where to read more."""
    against = f"champion `{champion.version}`" if champion else "no champion yet"
    rows = [
        f"| {name}{' (decides)' if name == version.spec.metric else ''} | {_metric(found)} "
        f"| {_metric(champion.metrics.get(name)) if champion else ''} |"
        for name, found in version.metrics.items()
    ]
    side_by_side = [f"- [Both models side by side]({request.page})"] if request.page else []
    their_card = [f"- Card of the champion: `{_card(champion)}`"] if champion else []
    return "\n".join(
        [
            f"Version `{version.version}` of **{version.model}** ({version.candidate}) passed the gate. It serves once "
            f"it is approved; without an answer by {request.until:%Y-%m-%d %H:%M} UTC it is rejected.",
            "",
            f"| on each one's holdout | version `{version.version}` | {against} |",
            "|---|---|---|",
            *rows,
            "",
            *(f"- {reason}" for reason in request.reasons),
            "",
            *side_by_side,
            f"- Card of the version: `{request.card}`",
            *their_card,
            f"- Dataset `{version.dataset}`, run `{version.run}`, code `{version.code}`",
            f"- From the command line: `perennial approve {version.model} {version.version}`, or with `--reject`",
        ]
    )


def _metric(found: Metric | None) -> str:
    if found is None:
        return ""
    interval = f" ({found.low:.4g} to {found.high:.4g})" if found.low is not None and found.high is not None else ""
    return f"{found.value:.4g}{interval}"
