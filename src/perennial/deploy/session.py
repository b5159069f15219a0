"""The stack that `make up` leaves for other commands: recorded in ``.local/stack.json``, ended by `make down`."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from perennial.deploy.aws import Aws
from perennial.deploy.interrupts import interruptible
from perennial.deploy.lock import only_one
from perennial.deploy.ministack import MiniStack, answers, end_group, owns, running_in
from perennial.deploy.package import ROOT
from perennial.deploy.up import LocalStack, Progress, bring_up, embedded
from perennial.errors import DeployError
from perennial.settings import STACK_FILE, on_this_machine

FOLDER = Path(".local/stack")
LOCK = Path(".local/stack.lock")


@dataclass(frozen=True)
class Session:
    """What ``.local/stack.json`` says. ``pid`` and ``token`` are None for an emulator that is not ours to end."""

    stack: LocalStack
    pid: int | None
    token: str | None

    def alive(self) -> bool:
        """Whether the stack still runs; never fooled by a process id or a port that was given to someone else."""
        return self.token is None or answers(self.stack.endpoint_url, self.token)


def up(*, detach: bool, progress: Progress, root: Path = ROOT) -> None:
    """Start a stack and record it; stay until Ctrl-C, SIGTERM, SIGHUP or `make down`, unless ``detach``.

    With ``AWS_ENDPOINT_URL`` set, deploys to that emulator instead of starting one; not where it names a port of this
    machine that nothing listens on, as it does when a shell still holds the exports of a stack that was ended.
    """
    with interruptible():
        _up(detach, progress, root)


def _up(detach: bool, progress: Progress, root: Path) -> None:
    with only_one(root / LOCK):
        found = read(root)
        if found and found.alive():
            progress("A stack is running already; `make down` ends it.")
            _describe(found.stack, progress)
            return
        endpoint_url = os.environ.get("AWS_ENDPOINT_URL")
        leftover = bool(endpoint_url) and _nothing_listens(str(endpoint_url))
        if leftover:
            progress(f"Nothing answers at AWS_ENDPOINT_URL={endpoint_url}; starting a local AWS instead.")
        elif endpoint_url:
            _record(root, Session(bring_up(_elsewhere(endpoint_url), progress=progress), None, None), progress)
            return
        emulator = MiniStack(root / FOLDER)
        try:
            emulator.start()
            progress(f"Started the local AWS at {emulator.endpoint_url}")
            stack = bring_up(embedded(emulator.endpoint_url), python=emulator.python, progress=progress)
            _record(root, Session(stack, emulator.pid, emulator.token), progress)
            if leftover:
                progress('This shell still names the old one: eval "$(.venv/bin/perennial env)" again.')
            if detach:
                emulator.release()
        except BaseException:
            _end(root, emulator)
            raise
    if detach:
        progress("It keeps running; `make down` ends it.")
    else:
        _stay(root, emulator, progress)


def down(*, progress: Progress, root: Path = ROOT) -> None:
    """End the recorded stack, and only it."""
    with only_one(root / LOCK):
        try:
            found = read(root)
        except DeployError as error:
            _forget_damaged(root, error, progress)
            return
        if found is None:
            progress("No stack is recorded; nothing to end.")
            return
        if found.pid is not None and found.token is not None and (found.alive() or owns(found.pid, found.token)):
            end_group(found.pid)
            while found.alive():
                time.sleep(0.02)
            progress(f"Ended the stack at {found.stack.endpoint_url}.")
        else:
            progress("The recorded stack no longer runs, or is not ours to end; forgot it.")
        shutil.rmtree(root / FOLDER / "tmp", ignore_errors=True)
        (root / STACK_FILE).unlink(missing_ok=True)


def read(root: Path = ROOT) -> Session | None:
    """The recorded session, or None.

    Raises:
        DeployError: the record is damaged.
    """
    path = root / STACK_FILE
    try:
        values: dict[str, Any] = json.loads(path.read_text())
        values["endpoint_url"] = values.pop("aws_endpoint_url")
        pid, token = values.pop("pid"), values.pop("token")
        if not all(isinstance(value, str) for value in values.values()):
            raise ValueError("a value of the stack is not a text")
        if not (pid is token is None or (type(pid) is int and pid > 1 and isinstance(token, str))):
            raise ValueError("pid and token belong together")
        return Session(LocalStack(**values), pid, token)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DeployError(f"{path}: damaged.", remedy="Run `make down`, which removes it, then `make up`.") from error


def _record(root: Path, session: Session, progress: Progress) -> None:
    values = {"aws_endpoint_url": session.stack.endpoint_url} | {
        name: value for name, value in vars(session.stack).items() if name != "endpoint_url"
    }
    path = root / STACK_FILE
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(values | {"pid": session.pid, "token": session.token}, indent=1) + "\n")
    partial.replace(path)
    _describe(session.stack, progress)


def _elsewhere(endpoint_url: str) -> Aws:
    """An emulator someone else runs; credentials come from the environment."""
    return Aws(
        endpoint_url.rstrip("/"),
        os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1",
        os.environ.get("AWS_ACCESS_KEY_ID", "test"),
        os.environ.get("AWS_SECRET_ACCESS_KEY", "test"),
    )


def _nothing_listens(endpoint_url: str) -> bool:
    """Whether the endpoint is a port of this machine that refuses connections."""
    if not on_this_machine(endpoint_url):
        return False
    address = urlsplit(endpoint_url)
    try:
        port = address.port or (443 if address.scheme == "https" else 80)
        socket.create_connection((str(address.hostname), port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    except (OSError, ValueError) as error:
        raise DeployError(f"AWS_ENDPOINT_URL={endpoint_url}: {error}.", remedy="Correct it, or unset it.") from error
    return False


def _forget_damaged(root: Path, error: DeployError, progress: Progress) -> None:
    """Remove a record that cannot be read, and end the emulator that works in our folder."""
    progress(f"{error.message} Removed it.")
    for pid in running_in(root / FOLDER):
        end_group(pid)
        progress("Ended the local AWS that it belonged to.")
    shutil.rmtree(root / FOLDER / "tmp", ignore_errors=True)
    (root / STACK_FILE).unlink(missing_ok=True)


def _stay(root: Path, emulator: MiniStack, progress: Progress) -> None:
    """Until an interrupt, or the emulator ends by itself or by `make down`."""
    try:
        progress("Ctrl-C ends it.")
        while emulator.running():
            time.sleep(0.2)
    except KeyboardInterrupt:
        progress("")
    finally:
        _end(root, emulator)
    progress("Ended; nothing is left running.")


def _end(root: Path, emulator: MiniStack) -> None:
    emulator.stop()
    with suppress(DeployError):
        found = read(root)
        if found and found.token == emulator.token:
            (root / STACK_FILE).unlink(missing_ok=True)


def _describe(stack: LocalStack, progress: Progress) -> None:
    progress("")
    progress(f"  Form    {stack.site_url}")
    progress(f"  API     {stack.api_url}")
    progress(f"  Bucket  {stack.bucket}")
    progress(f"  AWS     {stack.endpoint_url}")
    progress("")
