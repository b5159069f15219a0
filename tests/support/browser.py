"""Which browser the tests of the form use."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[2]
BROWSER_NOTE = ROOT / ".local" / "browser"  # what `make browser` found or installed
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
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
