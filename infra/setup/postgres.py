"""Find or install a PostgreSQL server for the tests of SQL sources, and note in ``.local/postgres`` where it is.

In this order: $PERENNIAL_POSTGRES, PATH, where Linux distributions and Homebrew put it, and, for root on Debian or
Ubuntu, the distribution's package. No server is left running: each test starts one of its own.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTE = ROOT / ".local/postgres"
PROGRAMS = ("initdb", "postgres")
PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql*/bin",
    "/usr/local/opt/postgresql*/bin",
)


def main() -> int:
    folder = named() or remembered() or on_this_machine() or from_debian()
    if not folder:
        sys.stderr.write(
            "No PostgreSQL server is here, and none could be installed.\n"
            "Install one (Debian: apt-get install postgresql), or name the folder of its initdb: "
            "PERENNIAL_POSTGRES=/path/to/bin\n"
        )
        return 1
    NOTE.parent.mkdir(exist_ok=True)
    NOTE.write_text(f"{folder}\n")
    return 0


def named() -> Path | None:
    """The folder the user names."""
    return complete(Path(os.environ.get("PERENNIAL_POSTGRES") or os.devnull))


def remembered() -> Path | None:
    """What an earlier run found."""
    return complete(Path(NOTE.read_text().strip())) if NOTE.is_file() else None


def on_this_machine() -> Path | None:
    """The newest one in the usual places; a link such as /usr/local/bin/initdb is followed to where the others are."""
    on_path = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    usual = [found for place in PLACES for found in Path("/").glob(place.lstrip("/"))]
    candidates = [*on_path, *sorted(usual, key=release, reverse=True)]
    return next((found for found in map(complete, candidates) if found), None)


def release(folder: Path) -> tuple[int, ...]:
    """The numbers in a path: 15 in /usr/lib/postgresql/15/bin."""
    return tuple(int(number) for number in re.findall(r"\d+", str(folder)))


def complete(folder: Path) -> Path | None:
    """The folder, where it has all that a server needs."""
    return folder if all(os.access(folder / program, os.X_OK) for program in PROGRAMS) else None


def from_debian() -> Path | None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    sys.stdout.write("postgres: installing Debian's postgresql ...\n")
    sys.stdout.flush()
    # No server is to be started for the whole machine.
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (
        ["apt-get", "-qq", "update"],
        ["apt-get", "-qq", "-y", "--no-install-recommends", "install", "postgresql"],
    ):
        if subprocess.run(
            command, check=False, env=quiet, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
        ).returncode:
            return None
    return on_this_machine()


if __name__ == "__main__":
    sys.exit(main())
