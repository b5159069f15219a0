"""Find or install a Java that Spark runs on, 17 or newer, and note its home in ``.local/java``.

In this order: $JAVA_HOME, PATH, where Linux distributions, macOS and Homebrew put it, and, for root on Debian or
Ubuntu, the distribution's package. A Java that is too old is passed over.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTE = ROOT / ".local/java"
OLDEST = 17
PLACES = (
    "/usr/lib/jvm/*/bin/java",
    "/Library/Java/JavaVirtualMachines/*/Contents/Home/bin/java",
    "/opt/homebrew/opt/openjdk*/bin/java",
    "/usr/local/opt/openjdk*/bin/java",
)
PACKAGES = ("openjdk-17-jre-headless", "default-jre-headless")  # Debian 13 has no 17 any more


def main() -> int:
    home = named() or remembered() or on_this_machine() or from_debian()
    if not home:
        sys.stderr.write(
            f"No Java {OLDEST} or newer is here, and none could be installed.\n"
            f"Install one (Debian: apt-get install {PACKAGES[0]}), or name its folder: JAVA_HOME=/path/to/java\n"
        )
        return 1
    NOTE.parent.mkdir(exist_ok=True)
    NOTE.write_text(f"{home}\n")
    return 0


def named() -> Path | None:
    """The home the user names."""
    return recent(Path(os.environ.get("JAVA_HOME") or os.devnull) / "bin/java")


def remembered() -> Path | None:
    """What an earlier run found."""
    return recent(Path(NOTE.read_text().strip()) / "bin/java") if NOTE.is_file() else None


def on_this_machine() -> Path | None:
    """The one on PATH, else the oldest that is new enough: a new Java comes out before Spark supports it."""
    on_path = [Path(found) for found in [shutil.which("java")] if found]
    usual = sorted((found for place in PLACES for found in Path("/").glob(place.lstrip("/"))), key=release)
    return next((home for home in map(recent, [*on_path, *usual]) if home), None)


def release(path: Path) -> tuple[int, ...]:
    """The numbers in a path: 17 in /usr/lib/jvm/java-17-openjdk/bin/java."""
    return tuple(int(number) for number in re.findall(r"\d+", str(path)))


def recent(java: Path) -> Path | None:
    """The home of a Java that is new enough, as it states it: on PATH may be the wrapper of a version manager."""
    if not os.access(java, os.X_OK):
        return None
    command = [str(java), "-XshowSettings:properties", "-version"]
    said = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL).stderr
    version = re.search(r"^ *java\.specification\.version = (\d+)", said, re.MULTILINE)
    home = re.search(r"^ *java\.home = (.+)$", said, re.MULTILINE)
    return Path(home[1].strip()) if version and home and int(version[1]) >= OLDEST else None


def from_debian() -> Path | None:
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        return None
    quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for package in PACKAGES:
        sys.stdout.write(f"java: installing Debian's {package} ...\n")
        sys.stdout.flush()
        for command in (
            ["apt-get", "-qq", "update"],
            ["apt-get", "-qq", "-y", "--no-install-recommends", "install", package],
        ):
            if subprocess.run(
                command, check=False, env=quiet, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            ).returncode:
                break
        else:
            return on_this_machine()
    return None


if __name__ == "__main__":
    sys.exit(main())
