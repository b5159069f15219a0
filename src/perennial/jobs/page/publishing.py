"""A model's page on the static site: what it shows, and how that gets there.

Of all that is written one object is ever replaced: ``model.json``, with the index of models beside it. Charts and
reports never change under their names, so what is there is not sent again.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from pydantic import AwareDatetime, BaseModel, ConfigDict, ValidationError

from perennial import keys
from perennial.errors import AlreadyExistsError, ConflictError, NotFoundError, StoreUnavailable
from perennial.jobs.page.data import PageData, PageIndex
from perennial.jobs.page.files import publish_files
from perennial.jobs.page.passes import passes
from perennial.jobs.page.versions import versions
from perennial.jobs.results import StepResult
from perennial.jobs.workspace import Workspace
from perennial.registry.manifest import is_model_name
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_objects import Served
from perennial.store_opening import open_store

PAGE_FILE = "model.json"
ATTEMPTS = 10
AHEAD = timedelta(days=1)
"""Whoever made a page further ahead of us had a wrong clock, and would keep ours out for as long."""
REVALIDATED = Served("application/json; charset=utf-8", "no-cache")


class PublishResult(StepResult):
    """What a page came to. ``published`` is False where there is no site; ``files`` counts those sent this time."""

    published: bool
    versions: int = 0
    passes: int = 0
    files: int = 0
    left_out: tuple[str, ...] = ()


def build_page(store: Store, model: str, now: datetime) -> PageData:
    """All that a model's page shows, from the registry and the summaries of monitoring.

    A version or a pass that cannot be read is left out and named, never a reason to show nothing.

    Raises:
        StoreUnavailable: S3 does not answer.
    """
    found = versions(store, model, now)
    watched = passes(store, model)
    spec = found.manifest.spec if found.manifest else None
    return PageData(
        model=model,
        at=now,
        task=spec.task if spec else None,
        target=spec.target.column if spec else None,
        metric=spec.metric if spec else None,
        champion=found.head.version if found.head else None,
        generation=found.head.generation if found.head else None,
        versions=found.views,
        events=found.events,
        passes=watched.views,
        trial=found.head.trial if found.head else None,
        tried=watched.tried,
        quality=watched.quality,
        drift=watched.drift,
        performance=watched.performance,
        left_out=(*found.left_out, *watched.left_out),
    )


def publish_page(store: Store, site: Store, model: str, now: datetime) -> PublishResult:
    """Bring a model's page up to date; doing it again changes nothing.

    Raises:
        StoreUnavailable: S3 does not answer, in one bucket or the other.
    """
    page, sent = publish_files(store, site, build_page(store, model, now))
    _replace(site, keys.page_data(model, PAGE_FILE), lambda before: _newer(before, page))
    _replace(site, keys.PAGE_INDEX, lambda _: _index(site))
    return PublishResult(
        published=True, versions=len(page.versions), passes=len(page.passes), files=sent, left_out=page.left_out
    )


def publish(w: Workspace) -> PublishResult:
    """The step that brings the model's page up to date; nothing is done where there is no site."""
    site = site_store(w.settings) if w.settings else None
    if site is None:
        return PublishResult(published=False)
    return publish_page(w.store, site, w.spec.name, w.now())


def site_store(settings: Settings) -> Store | None:
    """The bucket of the static site, None where none is named."""
    if settings.site_bucket is None:
        return None
    return open_store(settings.model_copy(update={"bucket": settings.site_bucket}))


class _Stamp(BaseModel):
    """What is asked of a page that is there already."""

    model_config = ConfigDict(extra="ignore")

    at: AwareDatetime


def _newer(before: bytes | None, page: PageData) -> bytes:
    """The page, unless the one that is there was made after it by another process."""
    if before is not None:
        try:
            if timedelta(0) < _Stamp.model_validate_json(before).at - page.at <= AHEAD:
                return before
        except ValidationError:  # of another release, or damaged: ours is better
            pass
    return page.model_dump_json().encode()


def _index(site: Store) -> bytes:
    names = tuple(name for name in site.folders(keys.PAGE_ROOT) if is_model_name(name))
    return PageIndex(models=names).model_dump_json().encode()


def _replace(site: Store, key: str, content: Callable[[bytes | None], bytes]) -> None:
    """Write an object that others may write at the same time; ``content`` is given what is there."""
    for _ in range(ATTEMPTS):
        before = site.find(key)
        data = content(before.data if before else None)
        try:
            if before is None:
                site.put_new(key, data, served=REVALIDATED)
            elif before.data != data:
                site.put_if_match(key, data, before.etag, served=REVALIDATED)
            return
        except (AlreadyExistsError, ConflictError, NotFoundError):
            continue
    raise StoreUnavailable(f"{key} is replaced by others all the time.", remedy="Repeat it: that is safe.")
