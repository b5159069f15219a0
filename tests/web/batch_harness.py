"""What the tests of the page for whole files do and look at."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from playwright.sync_api import Download, FilePayload, Locator, Page, expect

from tests.web.conftest import Visit

NAME = "customers.csv"
ROWS = [(5.1, 3.5, 1.4, 0.2), (6.7, 3.0, 5.2, 2.3), (5.9, 3.0, 4.2, 1.5)]
GOOD = "sepal_length,sepal_width,petal_length,petal_width,note\n" + "".join(
    f"{','.join(str(value) for value in row)},n{number}\n" for number, row in enumerate(ROWS, 1)
)
MIXED = f"{GOOD}5.0,3.6,wide,0.2,n4\n"
"""The same with a row whose petal is no number."""


def choose(page: Page, *files: tuple[str, str | bytes] | Path) -> None:
    """Choose files by name and content, or by their paths."""
    field = page.get_by_label("Choose files, or drop them here")
    paths = [each for each in files if isinstance(each, Path)]
    given: list[FilePayload] = [
        {"name": name, "mimeType": "", "buffer": body if isinstance(body, bytes) else body.encode()}
        for name, body in (each for each in files if not isinstance(each, Path))
    ]
    field.set_input_files(paths or given)


def put(page: Page, body: str | bytes | Path = MIXED, name: str = NAME) -> Locator:
    """Choose one file and have it scored; its card."""
    choose(page, body if isinstance(body, Path) else (name, body))
    page.get_by_role("button", name=f"Score {name}").click()
    return card(page, name)


def card(page: Page, name: str = NAME) -> Locator:
    return page.get_by_role("region", name=name, exact=True)


def state(page: Page, word: str, name: str = NAME) -> None:
    expect(card(page, name).locator(".badge")).to_have_text(word)


def large(folder: Path, name: str = NAME, size: int = 12_000_000) -> Path:
    """A file of few rows, each with a long note."""
    header, line = GOOD.splitlines()[:2]
    row = f"{line}{'.' * 4000}\n"
    path = folder / name
    path.write_text(f"{header}\n{row * (size // len(row))}")
    return path


def saved(page: Page, link: str) -> tuple[str, bytes]:
    """Follow a link to a download: the name it is saved under, and what it holds."""
    with page.expect_download() as waiting:
        card(page).get_by_role("link", name=link).click()
    download: Download = waiting.value
    return download.suggested_filename, Path(download.path()).read_bytes()


def figures(job: Locator) -> dict[str, str]:
    return dict(zip(job.locator("dt").all_inner_texts(), job.locator("dd").all_inner_texts(), strict=True))


def news(page: Page) -> Locator:
    return page.locator("main > p.visually-hidden[role=status]")


def asked(visit: Visit) -> int:
    """How often the page asked for a state."""
    return len([url for url in visit.requests if re.search(r"/batches/[\w-]{43}$", url)])


def kept(page: Page) -> list[dict[str, Any]]:
    """What the tab remembers; nothing else may."""
    assert page.evaluate("[localStorage.length, document.cookie, location.hash]") == [0, "", ""]
    found: list[dict[str, Any]] = page.evaluate(
        "Object.keys(sessionStorage).flatMap((key) => JSON.parse(sessionStorage.getItem(key)))"
    )
    return found
