"""What a page shows besides its JSON: the charts, evaluations and cards of versions, and the reports of monitoring.

None of it ever changes under its name, so what is there is not sent again.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal

from perennial import keys
from perennial.errors import AlreadyExistsError
from perennial.jobs.page.data import PageData
from perennial.jobs.page.read import read_all
from perennial.registry.registry import Registry
from perennial.store import Store
from perennial.store_objects import Served

FOREVER = "public, max-age=31536000, immutable"
TYPES = {
    ".svg": "image/svg+xml; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".html": "text/html; charset=utf-8",
}

_File = tuple[Literal["version", "report"], str, str]
"""What it is a file of, that version's or run's name, and its own."""


def publish_files(store: Store, site: Store, page: PageData) -> tuple[PageData, int]:
    """Copy the files that the page names to the site; returns the page without those that could not be, and a count.

    Raises:
        StoreUnavailable: S3 does not answer, in one bucket or the other.
    """
    there = {entry.key for entry in site.list(keys.page_data(page.model, ""))}
    wanted: list[_File] = [("version", view.version, name) for view in page.versions for name in view.files]
    wanted += [("report", each.run, name) for each in page.passes for name in each.html]
    found = read_all(wanted, lambda file: _publish(store, site, page.model, file, there))
    versions = tuple(
        view.model_copy(
            update={"files": tuple(name for name in view.files if ("version", view.version, name) in found.values)}
        )
        for view in page.versions
    )
    passes = tuple(
        each.model_copy(
            update={"html": tuple(name for name in each.html if ("report", each.run, name) in found.values)}
        )
        for each in page.passes
    )
    shown = {"versions": versions, "passes": passes, "left_out": (*page.left_out, *found.left_out)}
    return page.model_copy(update=shown), sum(found.values.values())


def _publish(store: Store, site: Store, m: str, file: _File, there: set[str]) -> bool:
    """Whether the file had to be sent. Raises NotFoundError and IntegrityError for what cannot be read."""
    kind, of, name = file
    key = keys.page_version(m, of, name) if kind == "version" else keys.page_report(m, of, name)
    if key in there:
        return False
    if kind == "version":
        registry = Registry(store)
        data = registry.file(registry.manifest(m, of), name)
    else:
        data = store.get(keys.monitor_file(m, of, name)).data
    try:
        site.put_new(key, data, served=Served(TYPES[PurePosixPath(name).suffix], FOREVER))
    except AlreadyExistsError:  # another process was here first
        return False
    return True
