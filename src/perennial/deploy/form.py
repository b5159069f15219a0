"""Build the site: packages from the lock by ``npm ci``, then ``npm run build``, each only where something changed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from perennial.deploy.lock import only_one
from perennial.deploy.package import ROOT
from perennial.errors import DeployError

OLDEST_NODE = 20
NPM_SECONDS = 300.0
_INPUTS = ("build.mjs", "index.html", "batch.html", "model.html", "report.html", "src", "public")


def build_form(root: Path = ROOT) -> Path:
    """The folder ``frontend/dist``, up to date with its sources.

    Raises:
        DeployError: there is no Node.js, or npm failed.
    """
    frontend = root / "frontend"
    with only_one(root / ".local/form.lock"):
        packages = _digest(frontend, [frontend / "package.json", frontend / "package-lock.json"])
        if _stamp(frontend, "packages") != packages:
            _npm(root, "ci")
            _stamp(frontend, "packages", packages)
        site = packages + _digest(frontend, _files(frontend / name for name in _INPUTS))
        if _stamp(frontend, "site") != site or not (frontend / "dist/index.html").is_file():
            _npm(root, "run", "build")
            _stamp(frontend, "site", site)
    return frontend / "dist"


def node_path(root: Path = ROOT) -> str:
    """A PATH on which Node.js and npm are recent enough: the machine's, else that of the repository's own environment.

    Raises:
        DeployError: neither has them.
    """
    machine = os.environ.get("PATH", os.defpath)
    for path in (machine, f"{root / '.local/envs/node/bin'}{os.pathsep}{machine}"):
        node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
        if node and npm and _major(node) >= OLDEST_NODE:
            return path
    raise DeployError(f"The form needs Node.js {OLDEST_NODE} or newer.", remedy="Run `make site`, which brings one.")


def _npm(root: Path, *arguments: str) -> None:
    path = node_path(root)
    npm = shutil.which("npm", path=path) or "npm"
    try:
        done = subprocess.run(  # noqa: S603
            [npm, *arguments, "--no-update-notifier"],
            cwd=root / "frontend", env=os.environ | {"PATH": path}, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=NPM_SECONDS, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise DeployError(f"frontend: npm {arguments[0]} took longer than {NPM_SECONDS:.0f} s.") from error
    if done.returncode != 0:
        reason = " ".join((done.stdout + done.stderr).split())[-400:]
        raise DeployError(f"frontend: npm {' '.join(arguments)} failed: {reason}")


def _major(node: str) -> int:
    answer = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout  # noqa: S603
    major = answer.strip().removeprefix("v").partition(".")[0]
    return int(major) if major.isdigit() else 0


def _files(places: Iterable[Path]) -> list[Path]:
    found = []
    for place in places:
        found += sorted(path for path in place.rglob("*") if path.is_file()) if place.is_dir() else [place]
    return found


def _digest(frontend: Path, paths: Iterable[Path]) -> str:
    found = hashlib.sha256()
    for path in paths:
        found.update(path.relative_to(frontend).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return found.hexdigest()


def _stamp(frontend: Path, name: str, value: str | None = None) -> str | None:
    """What was built last, kept beside the packages so that it goes with them."""
    path = frontend / "node_modules" / f".perennial-{name}"
    if value is not None:
        path.write_text(value)
    return path.read_text() if path.is_file() else None
