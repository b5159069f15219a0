"""Keys in the bucket of the site, which pages read."""

from __future__ import annotations

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
