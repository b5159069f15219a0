"""Which code a version came from."""

from __future__ import annotations

import os
import subprocess
from importlib.metadata import version
from pathlib import Path


def code_version(folder: Path) -> str:
    """The commit of the repository that holds ``folder``, with ``+changes`` where files differ from it.

    ``PERENNIAL_CODE`` overrides it (a job image has no repository); without either it is Perennial's own release.
    """
    if given := os.environ.get("PERENNIAL_CODE"):
        return given
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return f"perennial {version('perennial')}"
    return f"{commit}+changes" if _git(folder, "status", "--porcelain", "--untracked-files=no") else commit


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *arguments],  # noqa: S607 - git is found on PATH, as everywhere
            capture_output=True, text=True, check=False, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
