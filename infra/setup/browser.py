"""Find or install a browser for the tests of the form, and write its path to ``.local/browser``.

In this order: $PERENNIAL_BROWSER, the machine's Chromium or Chrome, Playwright's own, and, for root on Debian or
Ubuntu, the distribution's package.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTE = ROOT / ".local/browser"
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
PYTHON = ROOT / ".venv/bin/python"
ASK_PLAYWRIGHT = (
    "from playwright.sync_api import sync_playwright as start\n"
    "with start() as playwright: print(playwright.chromium.executable_path)"
)


def main() -> int:
    path = remembered() or on_this_machine() or playwrights_own() or from_debian()
    if not path:
        sys.stderr.write(
            "No Chromium or Chrome is here, and none could be installed.\n"
            "Install one (Debian: apt-get install chromium), or name it: PERENNIAL_BROWSER=/path/to/chrome\n"
        )
        return 1
    NOTE.parent.mkdir(exist_ok=True)
    NOTE.write_text(path + "\n")
    return 0


def remembered() -> str | None:
    """What an earlier run found, unless the user names another."""
    named = os.environ.get("PERENNIAL_BROWSER")
    if named:
        return shutil.which(named)
    return shutil.which(NOTE.read_text().strip()) if NOTE.is_file() else None


def on_this_machine() -> str | None:
    return next((path for path in map(shutil.which, (*NAMES, *PLACES)) if path), None)


def playwrights_own() -> str | None:
    """Playwright's Chromium: there already, or fetched now."""
    path = _playwright_path()
    if path is None:
        say("browser: fetching Playwright's Chromium ...")
        result = _run([str(PYTHON), "-m", "playwright", "install", "chromium"])
        path = _playwright_path() if result.returncode == 0 else None
    return path if path and _runs(path) else None


def from_debian() -> str | None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    say("browser: installing Debian's chromium ...")
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "-qq", "update"],
        ["apt-get", "-qq", "-y", "--no-install-recommends", "install", "chromium"],
    ):
        if subprocess.run(
            command, check=False, env=quiet, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ).returncode:
            return None
    return on_this_machine()


def _playwright_path() -> str | None:
    result = _run([str(PYTHON), "-c", ASK_PLAYWRIGHT])
    return shutil.which(result.stdout.strip()) if result.returncode == 0 else None


def _runs(path: str) -> bool:
    """A downloaded browser may lack shared libraries of the system."""
    return _run([path, "--version"]).returncode == 0


def _run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
