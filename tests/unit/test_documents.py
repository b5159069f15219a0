"""Pages lead somewhere, each is found from another, and decisions have one form."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DECISIONS = sorted((ROOT / "docs/decisions").glob("0*.md"))
PAGES = [
    *ROOT.glob("*.md"),
    *ROOT.glob("docs/*.md"),
    *ROOT.glob("docs/decisions/*.md"),
    *ROOT.glob("examples/*/*.md"),
    ROOT / "frontend/README.md",
]


def links(page: Path) -> list[tuple[str, str]]:
    """Where a page leads within the repository: files, and headings in them ("" for none)."""
    found = re.findall(r"\]\((?!https?:|mailto:)([^)#]*)(?:#([^)]+))?\)", page.read_text(encoding="utf-8"))
    return [(target or page.name, heading) for target, heading in found]


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub names them in addresses."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_links_to_exists(page: Path) -> None:
    for target, heading in links(page):
        file = page.parent / target
        assert file.exists(), target
        assert not heading or heading in anchors(file), f"{target}#{heading}"


def test_every_page_is_found_from_another() -> None:
    targets = [(page, page.parent / target) for page in PAGES for target, _ in links(page)]
    found = {page for source, target in targets for page in (target, target / "README.md") if page != source}
    assert {page.resolve() for page in PAGES} - {page.resolve() for page in found} <= {ROOT / "README.md"}


@pytest.mark.parametrize("page", DECISIONS, ids=lambda page: page.stem)
def test_a_decision_is_numbered_dated_and_names_what_else_was_considered(page: Path) -> None:
    title, _, date, *_ = text = page.read_text(encoding="utf-8").splitlines()
    assert title.startswith(f"# {int(page.stem[:4])}. ")
    assert re.fullmatch(r"\d{4}-\d{2}-\d{2}\. (Accepted|Replaced by \[\d+\]\(.+\))\.", date)
    headings = [line for line in text if line.startswith("## ")]
    assert headings[:2] == ["## Context", "## Decision"]
    assert "## Alternatives" in headings
