"""The embedded local AWS: MiniStack as a child process, bound to 127.0.0.1 on a free port."""

from __future__ import annotations

import json
import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from perennial.deploy.emulator import ACCESS_KEY, ACCOUNT, REGION, SECRET_KEY, Emulator, end_group

__all__ = [
    "ACCESS_KEY", "ACCOUNT", "REGION", "SECRET_KEY", "MiniStack", "answers", "end_group", "interpreter",
    "is_ministack", "owns", "running_in",
]  # fmt: skip

PYTHON = Path(".local/envs/ministack/bin/python")

# 1.5.33 forgets the attributes of what an update leaves as it is in a nested stack, and then finds none to refer to.
_KEEP_ATTRIBUTES = """
from ministack.services.cloudformation import _stacks, provisioners
update = provisioners._update_resource
def keeping(kind, place, old, new, stack, name=None, attributes=None):
    known = _stacks.get(stack, {}).get("_resources", {}).get(name, {})
    return update(kind, place, old, new, stack, name, attributes or known.get("Attributes"))
provisioners._update_resource = keeping
"""


class MiniStack(Emulator):
    """The default emulator: it starts in half a second, and enforces IAM, so a Lambda acts under its own role."""

    name = "ministack"
    program = _KEEP_ATTRIBUTES + "from ministack.app import main\nmain()\n"

    def __init__(self, folder: Path, *, python: Path | None = None) -> None:
        super().__init__(folder, python=python or interpreter())

    def answers(self) -> bool:
        """Whether it is up, and the one that listens is this one."""
        return answers(self.endpoint_url, self.token)

    def variables(self, port: int, scratch: Path) -> Mapping[str, str]:
        """Bound to this machine, with IAM, and without what nobody here asks for."""
        return {
            "GATEWAY_PORT": str(port),
            "BIND_HOST": "127.0.0.1",
            "MINISTACK_HOST": "localhost",
            "MINISTACK_REGION": REGION,
            "MINISTACK_EDITION": self.token,  # echoed by its health page: proof that the listener is our child
            "AUTH": "true",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
            "TMPDIR": str(scratch),
        }


def interpreter() -> Path:
    """The Python of the emulator's environment, whose version the local Lambda package must match."""
    return Path(os.environ.get("PERENNIAL_MINISTACK_PYTHON", PYTHON)).absolute()


def answers(endpoint_url: str, token: str) -> bool:
    """Whether the emulator that was started with ``token`` is up at this endpoint."""
    return _edition(endpoint_url, 2) == token


def is_ministack(endpoint_url: str) -> bool:
    """Whether what answers at this endpoint is MiniStack, whoever started it."""
    return _edition(endpoint_url, 10) is not None


def _edition(endpoint_url: str, seconds: float) -> str | None:
    try:
        address = f"{endpoint_url.rstrip('/')}/_ministack/health"
        with urllib.request.urlopen(address, timeout=seconds) as response:  # noqa: S310
            return str(json.load(response)["edition"])
    except (OSError, ValueError, KeyError, TypeError, urllib.error.URLError):
        return None


def owns(pid: int, token: str) -> bool:
    """Whether the process carries our token, though it may not answer (Linux only)."""
    return f"MINISTACK_EDITION={token}".encode() in _variables(pid)


def running_in(folder: Path) -> list[int]:
    """Process ids of the emulators that work in ``folder``, by what they were started with (Linux only)."""
    place = f"TMPDIR={(folder / 'tmp').resolve()}".encode()
    pids = [int(entry.name) for entry in Path("/proc").glob("[0-9]*")]
    return [pid for pid in pids if place in (found := _variables(pid)) and _leads_emulator(pid, found)]


def _leads_emulator(pid: int, variables: list[bytes]) -> bool:
    with suppress(ProcessLookupError):
        return os.getpgid(pid) == pid and any(each.startswith(b"MINISTACK_EDITION=") for each in variables)
    return False


def _variables(pid: int) -> list[bytes]:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return []
