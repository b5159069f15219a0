"""The small objects that say what was decided and done on a file: each is put-new, so that the first one stands."""

from __future__ import annotations

from perennial import keys
from perennial.errors import AlreadyExistsError
from perennial.serving.batch_job import BatchPlan, BatchProgress, BatchResult, BatchScored
from perennial.store import Store


def find_result(store: Store, model: str, work: str) -> BatchResult | None:
    """How the work ended, or None. Raises IntegrityError, StoreUnavailable."""
    key = keys.batch_result(model, work)
    found = store.find(key)
    return BatchResult.from_bytes(found.data, key) if found else None


def commit_result(store: Store, work: str, result: BatchResult) -> BatchResult:
    """Say how the work ended; the first result stands, and is what this gives back."""
    key = keys.batch_result(result.model, work)
    try:
        store.put_new(key, result.to_bytes())
    except AlreadyExistsError:
        return BatchResult.from_bytes(store.get(key).data, key)
    return result


def find_plan(store: Store, model: str, work: str) -> BatchPlan | None:
    """How the work is done, or None where nobody planned it yet."""
    key = keys.batch_plan(model, work)
    found = store.find(key)
    return BatchPlan.from_bytes(found.data, key) if found else None


def commit_plan(store: Store, work: str, plan: BatchPlan) -> BatchPlan:
    """Pin how the work is done; the first plan stands, and is what this gives back."""
    key = keys.batch_plan(plan.model, work)
    try:
        store.put_new(key, plan.to_bytes())
    except AlreadyExistsError:
        return BatchPlan.from_bytes(store.get(key).data, key)
    return plan


def find_progress(store: Store, model: str, work: str) -> BatchProgress | None:
    """How far the work was told to be, or None where nobody told yet."""
    key = keys.batch_progress(model, work)
    found = store.find(key)
    return BatchProgress.from_bytes(found.data, key) if found else None


def done_parts(store: Store, model: str, work: str) -> frozenset[int]:
    """The numbers of the parts that are done."""
    prefix = keys.batch_parts(model, work)
    names = (entry.key.removeprefix(prefix).removesuffix(".json") for entry in store.list(prefix))
    return frozenset(int(name) for name in names if name.isdecimal())


def read_part(store: Store, model: str, work: str, number: int) -> BatchScored | None:
    """What came of one part, or None where it is not done."""
    key = keys.batch_part(model, work, number)
    found = store.find(key)
    return BatchScored.from_bytes(found.data, key) if found else None


def commit_part(store: Store, model: str, work: str, number: int, scored: BatchScored) -> None:
    """Say that a part's rows are stored; who said it first said the same."""
    try:
        store.put_new(keys.batch_part(model, work, number), scored.to_bytes())
    except AlreadyExistsError:
        return
