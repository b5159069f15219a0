"""The files of monitoring passes: on the site as in the bucket, and no more of them than are wanted."""

from __future__ import annotations

from perennial import keys
from perennial.errors import PerennialError
from perennial.jobs.page import site_store
from perennial.jobs.workspace import Workspace
from perennial.monitoring.results import MonitorReport
from perennial.store import Store
from perennial.store_objects import Served

REPORT_FILE = "monitor.json"
FOREVER = "public, max-age=31536000, immutable"


def keep_newest(w: Workspace, own: str) -> tuple[str, ...]:
    """Remove the files of all but the newest ``monitor.keep_reports`` passes and of ``own``; names those removed.

    What cannot be removed is said; the next pass tries again.
    """
    m, site, removed = w.spec.name, _site(w), list[str]()
    try:
        shown = site.folders(keys.page_reports(m)) if site is not None else ()
        names = w.store.folders(keys.monitor_runs(m))  # after the site's: what is published meanwhile is not old
        kept = {own, *names[-w.spec.monitor.keep_reports :]}
        for name in shown:
            if site is not None and name not in kept:
                _clear(site, keys.page_report(m, name, ""))
        for name in names:
            if name not in kept:
                _clear(w.store, keys.monitor_file(m, name, ""))
                removed.append(name)
    except PerennialError as error:
        w.progress(f"old reports were not removed: {error}")
    return tuple(removed)


def publish_reports(w: Workspace, found: MonitorReport) -> None:
    """Copy the files of a pass to the site: a view of the bucket, whose failure is said and fails nothing."""
    site = _site(w)
    if site is None:
        return
    try:
        if not is_known(w):
            return
        for name in (REPORT_FILE, *found.html):
            data = w.store.get(keys.monitor_file(w.spec.name, found.run, name)).data
            kind = "text/html" if name.endswith(".html") else "application/json"
            served = Served(f"{kind}; charset=utf-8", FOREVER)
            site.put_new(keys.page_report(w.spec.name, found.run, name), data, served=served)
    except PerennialError as error:
        w.progress(f"the reports were not published: {error}")


def is_known(w: Workspace) -> bool:
    """Whether the model has a version: without one there is nothing that a page could show. Raises StoreUnavailable."""
    return w.store.holds(keys.versions(w.spec.name))


def _clear(store: Store, prefix: str) -> None:
    for entry in store.list(prefix):
        store.remove(entry.key)


def _site(w: Workspace) -> Store | None:
    return site_store(w.settings) if w.settings else None
