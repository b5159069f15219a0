"""Which browser the tests of the site use."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

ROOT = Path(__file__).parents[2]
BROWSER_NOTE = ROOT / ".local" / "browser"  # what `make browser` found or installed
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
MAC_BROWSER = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def find_browser() -> str | None:
    """The machine's Chromium or Chrome; None leaves the choice to Playwright's own."""
    named = os.environ.get("PERENNIAL_BROWSER")
    if named:
        return named
    if BROWSER_NOTE.is_file() and (noted := shutil.which(BROWSER_NOTE.read_text().strip())):
        return noted
    on_path = next((found for name in BROWSERS if (found := shutil.which(name))), None)
    return on_path or (str(MAC_BROWSER) if MAC_BROWSER.exists() else None)


def launch(playwright: Playwright) -> Browser:
    """Start it. There is no skip: a missing browser fails, and says what to do."""
    found = find_browser()
    if found is None and not Path(playwright.chromium.executable_path).exists():
        raise RuntimeError(
            "No Chromium or Chrome is installed. Run `make browser`, which finds or installs one, "
            "or name one in PERENNIAL_BROWSER."
        )
    return playwright.chromium.launch(executable_path=found, args=list(ARGUMENTS))
