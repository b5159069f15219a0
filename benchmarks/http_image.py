"""Our image, carried out in a folder of this machine: what is in it, its variables, and how it starts."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from perennial.deploy.package import uv

ROOT = Path(__file__).parents[1]
IMAGE = ROOT / "infra/images/api"
START = IMAGE / "start.sh"


def install(folder: Path) -> None:
    """Put into a folder what the image has below ``/var/task``: what its lock names, and our code, compiled."""
    made_with = {"PYTHON": sys.executable, "PIP": f"{uv()} pip", "VIRTUAL_ENV": sys.prefix}
    subprocess.run(["sh", str(IMAGE / "install.sh"), str(ROOT), str(folder)], check=True, env=os.environ | made_with)


def variables(folder: Path) -> dict[str, str]:
    """What the last stage of the image's recipe sets, where its code is in ``folder``."""
    recipe = re.sub(r"\\\n\s*", "", (IMAGE / "Dockerfile").read_text())
    last = recipe.rpartition("\nFROM ")[2]
    found = dict(
        pair.split("=", 1)
        for line in last.splitlines()
        if line.startswith("ENV ")
        for pair in shlex.split(line.removeprefix("ENV "))
    )
    return found | {"PERENNIAL_TASK": str(folder), "PYTHON": sys.executable}
