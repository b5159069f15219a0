"""LocalStack without Docker as the local AWS: a second opinion on what the default emulator says.

It runs Lambda code in processes, and HTTP APIs, by the plugin in ``infra/localstack``. It enforces no IAM.
"""

from __future__ import annotations

import os
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from perennial.deploy.emulator import Emulator

PYTHON = Path(".local/envs/localstack/bin/python")


class LocalStackEmulator(Emulator):
    """LocalStack 4.14, in host mode. It takes some seconds to start, and half a gigabyte."""

    name = "localstack"
    program = "from localstack.runtime.main import main\nmain()\n"
    start_seconds = 90.0
    remedy = "Run `sh infra/setup/setup.sh environments.py localstack`."

    def __init__(self, folder: Path, *, python: Path | None = None) -> None:
        super().__init__(folder, python=python or _interpreter())

    def answers(self) -> bool:
        """Whether it is up, and the one that listens is this one: the plugin says the word that we gave it."""
        try:
            with urllib.request.urlopen(f"{self.endpoint_url}/_perennial/token", timeout=2) as response:  # noqa: S310
                return bool(response.read(64).decode(errors="replace") == self.token)
        except (OSError, ValueError, urllib.error.URLError):
            return False

    def variables(self, port: int, scratch: Path) -> Mapping[str, str]:
        """Bound to this machine, with nothing fetched from elsewhere and nothing reported."""
        return {
            "GATEWAY_LISTEN": f"127.0.0.1:{port}",
            "GATEWAY_SERVER": "hypercorn",  # the default one listens on every interface
            "LOCALSTACK_HOST": f"localhost:{port}",
            "PERENNIAL_EMULATOR_TOKEN": self.token,
            "LAMBDA_RUNTIME_EXECUTOR": "process",
            "FILESYSTEM_ROOT": str(scratch / "filesystem"),
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "DISABLE_EVENTS": "1",
            "DNS_ADDRESS": "0",
            "S3_SKIP_SIGNATURE_VALIDATION": "0",  # or every link would do, however old
            "CFN_IGNORE_UNSUPPORTED_RESOURCE_TYPES": "1",  # such as budgets
            "LAMBDA_LIMITS_CODE_SIZE_ZIPPED": str(512 * 2**20),
            "LAMBDA_LIMITS_CODE_SIZE_UNZIPPED": str(512 * 2**20),
        }


def _interpreter() -> Path:
    return Path(os.environ.get("PERENNIAL_LOCALSTACK_PYTHON", PYTHON)).absolute()
