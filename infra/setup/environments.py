"""Make the project's environments, all of them under the repository: ``environments.py main ministack ...``.

After ``--if-possible``, one that no PyTorch can be had for on this machine is left out, in a line that says so.
Needs only the standard library. Each environment carries a stamp with the hash of all that it was made from; it is
made anew when the stamp does not match, so an interrupted set-up is never taken for a finished one.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "requirements"
UV_HOME = ROOT / ".local/uv"
UV = UV_HOME / "bin/uv"
STAMP = "made-from"
NODE_MAJOR = 20
TORCH = "2.13.0"
IF_POSSIBLE = "--if-possible"


@dataclass(frozen=True)
class Environment:
    """A folder, the locks it is made from, and what is installed into it besides.

    That is the project itself, PyTorch, or the ``plugin`` in a folder of the repository. ``newer`` names the Python 3
    minors that it must have instead of the one that runs this, the best one first.
    """

    folder: str
    locks: tuple[str, ...]
    project: bool = False
    torch: bool = False
    plugin: str = ""
    newer: tuple[int, ...] = ()


ENVIRONMENTS = {
    "main": Environment(".venv", ("dev.txt",), project=True),
    "airflow": Environment(".local/envs/airflow", ("airflow.txt",), project=True),
    "ministack": Environment(".local/envs/ministack", ("ministack.txt",)),
    "localstack": Environment(".local/envs/localstack", ("localstack.txt",), plugin="infra/localstack", newer=(13, 12)),
    "monitor": Environment(".local/envs/monitor", ("monitor.txt",)),
    "mlflow": Environment(".local/envs/mlflow", ("mlflow.txt",)),
    "spark": Environment(".local/envs/spark", ("spark.txt",), project=True),
    "vision": Environment(".local/envs/vision", ("vision.txt",), torch=True),
    "images": Environment(".local/envs/images", ("images.txt",)),
    "sam": Environment(".local/envs/sam", ("sam.txt",)),
    "checkov": Environment(".local/envs/checkov", ("checkov.txt",)),
    "schemas": Environment(".local/envs/schemas", ("schemas.txt",)),
    "serve-image": Environment(".local/envs/serve-image", ("serve-image.txt",)),
    "schemathesis": Environment(".local/envs/schemathesis", ("schemathesis.txt",)),
    "node": Environment(".local/envs/node", ("node.txt",)),
    "rivals": Environment(".local/envs/rivals", ("rivals.txt",)),
    "rivals-mlflow": Environment(".local/envs/rivals-mlflow", ("rivals-mlflow.txt",)),
    "rivals-bentoml": Environment(".local/envs/rivals-bentoml", ("rivals-bentoml.txt",)),
    "rivals-litserve": Environment(".local/envs/rivals-litserve", ("rivals-litserve.txt",)),
}


class SetupError(Exception):
    """Set-up cannot go on; the message says what to do."""


class NotToBeHad(SetupError):
    """A part that not every machine has."""


def main(names: list[str]) -> int:
    (ROOT / ".local").mkdir(exist_ok=True)
    with (ROOT / ".local/setup.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # two makes at once take turns
        try:
            make_uv()
            for place, name in enumerate(names):
                if name == IF_POSSIBLE or (name == "node" and system_node()):
                    continue
                try:
                    make(name, ENVIRONMENTS[name])
                except NotToBeHad as error:
                    if IF_POSSIBLE not in names[:place]:
                        raise
                    say(f"{name}: left out. {error}")
        except SetupError as error:
            sys.stderr.write(f"{error}\n")
            return 1
    return 0


def make(name: str, environment: Environment) -> None:
    """Make one environment, unless it is there."""
    folder = ROOT / environment.folder
    locks = [LOCKS / lock for lock in environment.locks]
    made_from = digest(locks, f"torch {TORCH}" if environment.torch else "")
    if environment.project:
        made_from = digest([*locks, LOCKS / "build.txt"], project_tables())
    if environment.plugin:
        made_from = digest([*locks, LOCKS / "build.txt", ROOT / environment.plugin / "pyproject.toml"])
    if stamped(folder, made_from):
        return
    started = time.monotonic()
    say(f"{name}: making {environment.folder} ...")
    (folder / STAMP).unlink(missing_ok=True)
    base = interpreter(environment.newer)
    uv("venv", "--quiet", "--clear", "--no-project", "--python", base, str(folder))
    python = str(folder / "bin/python")
    uv("pip", "sync", "--python", python, "--require-hashes", *map(str, locks))
    if environment.project or environment.plugin:
        backend = ["--build-constraints", str(LOCKS / "build.txt")]
        source = str(ROOT / environment.plugin)
        uv("pip", "install", "--quiet", "--python", python, "--no-deps", *backend, "--editable", source)
    if environment.torch:
        try:
            install_torch(python)
        except NotToBeHad:
            shutil.rmtree(folder)  # half of it would be taken for the whole
            raise
    (folder / STAMP).write_text(made_from)
    say(f"{name}: ready after {time.monotonic() - started:.0f} s")


def interpreter(minors: tuple[int, ...]) -> str:
    """This Python, where it is of these minors or any will do; else one of this machine, or of those that uv brings.

    Version managers put wrappers on PATH that refuse, so where pyenv keeps its Pythons is looked at too.
    """
    if not minors or sys.version_info[1] in minors:
        return sys.executable
    kept = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for minor in minors:
        for python in [f"python3.{minor}", *map(str, sorted(kept.glob(f"3.{minor}.*/bin/python")))]:
            if ran([python, "-c", f"import sys; sys.exit(sys.version_info[:2] != (3, {minor}))"]):
                return python if Path(python).is_absolute() else str(shutil.which(python))
    if not ran([str(UV), "python", "install", f"3.{minors[0]}"]):
        raise SetupError(f"Python 3.{minors[0]} is needed, and none was found.\nInstall one, where PATH names it.")
    return f"3.{minors[0]}"


def install_torch(python: str) -> None:
    """PyTorch's CPU build: where this machine's pip finds it, else PyTorch's own index. Never one of several GB.

    Raises:
        NotToBeHad: neither has one for this Python.
    """
    say(f"  Installing the CPU build of PyTorch {TORCH} ...")
    with tempfile.TemporaryDirectory(dir=ROOT / ".local") as found:
        local = f"torch=={TORCH}+cpu"  # as the builds for Linux are named that bring no CUDA
        quick = ["--quiet", "--retries", "1", "--timeout", "15", "--no-deps", "--only-binary", ":all:"]
        for pip in (sys.executable, str(UV_HOME / "bin/python")):
            ran([pip, "-m", "pip", "download", *quick, "--dest", found, local])
            if wheels := [str(path) for path in Path(found).glob("torch-*.whl")]:
                return uv("pip", "install", "--quiet", "--python", python, "--no-deps", *wheels)
    if not ran([str(UV), "pip", "install", "--quiet", "--python", python, "--no-deps", "--only-binary", ":all:",
                "--torch-backend", "cpu", f"torch=={TORCH}"]):  # fmt: skip
        version = ".".join(map(str, sys.version_info[:2]))
        raise NotToBeHad(
            f"No CPU build of PyTorch {TORCH} for Python {version} is to be had here; candidates with `torch` are "
            "refused without it.\nPut its wheel where pip looks (PIP_FIND_LINKS), or use another Python: "
            "make vision PYTHON=/path/to/python3.11"
        )
    return None


def ran(command: list[str]) -> bool:
    """Whether a command could be run and did what it should; what it says is kept quiet."""
    environment = {"UV_HTTP_RETRIES": "1"} | {
        name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}
    }
    try:
        result = subprocess.run(
            command, capture_output=True, check=False, stdin=subprocess.DEVNULL, cwd=ROOT, env=environment
        )
    except OSError:
        return False
    return result.returncode == 0


def make_uv() -> None:
    """uv in an environment of its own: by venv, else by this machine's pip, else by this machine's uv."""
    lock = LOCKS / "uv.txt"
    made_from = digest([lock])
    if stamped(UV_HOME, made_from):
        return
    say("uv: making .local/uv ...")
    shutil.rmtree(UV_HOME, ignore_errors=True)
    install = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", str(lock)]
    ways = [
        ([sys.executable, "-m", "venv", str(UV_HOME)], [str(UV_HOME / "bin/python"), "-m", "pip", *install]),
        (
            [sys.executable, "-m", "venv", "--clear", "--without-pip", str(UV_HOME)],
            [sys.executable, "-m", "pip", "--python", str(UV_HOME / "bin/python"), *install],
        ),
    ]
    if shutil.which("uv"):
        sync = ["uv", "pip", "sync", "--quiet", "--require-hashes", "--python", str(UV_HOME / "bin/python"), str(lock)]
        ways.append((["uv", "venv", "--quiet", "--clear", "--python", sys.executable, str(UV_HOME)], sync))
    reasons = [reason for reason in (attempt(*way) for way in ways) if reason]
    if len(reasons) == len(ways):
        raise SetupError(
            f"{sys.executable} cannot make an environment: {reasons[0]}\n"
            "Install its venv module (Debian, Ubuntu: apt-get install python3-venv), or name another Python: "
            "make PYTHON=/path/to/python3.12"
        )
    (UV_HOME / STAMP).write_text(made_from)


def attempt(*commands: list[str]) -> str:
    """Run commands until one fails; the reason, or nothing."""
    for command in commands:
        result = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
        if result.returncode != 0:
            lines = [line for line in (result.stdout + result.stderr).splitlines() if line.strip()]
            return " ".join(lines[-3:]) or f"{command[0]} failed"
    UV.chmod(0o755) if UV.exists() else None
    return "" if UV.exists() else "uv was not installed"


def uv(*arguments: str) -> None:
    """Run uv, showing its progress but not the list of packages."""
    environment = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    process = subprocess.Popen(
        [str(UV), *arguments], stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, cwd=ROOT, env=environment
    )
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line.rstrip())
        if line.startswith((" + ", " - ", " ~ ", " Downloaded", "Using Python")):
            continue
        say(f"  {line.strip()}")
    if process.wait() != 0:
        raise SetupError(f"uv {' '.join(arguments[:2])} failed.\nCheck the network, then run the same command again.")


def system_node() -> bool:
    """Whether the machine's own Node.js, with npm, is recent enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if not node or not npm:
        return False
    result = subprocess.run([node, "--version"], capture_output=True, text=True, check=False)
    major = result.stdout.strip().lstrip("v").split(".")[0]
    return result.returncode == 0 and major.isdigit() and int(major) >= NODE_MAJOR


def project_tables() -> str:
    """What an installation of the project depends on: not the settings of tools that also stand in pyproject.toml."""
    tables = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return json.dumps([tables.get("build-system"), tables.get("project"), tables.get("tool", {}).get("hatch")])


def digest(files: list[Path], more: str = "") -> str:
    """SHA-256 of the files and of the interpreter they are installed for."""
    hasher = hashlib.sha256(f"{sys.version} {os.path.realpath(sys.executable)} {ROOT} {more}".encode())
    for file in files:
        hasher.update(file.read_bytes())
    return hasher.hexdigest()


def stamped(folder: Path, made_from: str) -> bool:
    """Whether the folder was made from just this, and its interpreter still exists."""
    stamp = folder / STAMP
    return stamp.is_file() and stamp.read_text() == made_from and (folder / "bin/python").exists()


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
