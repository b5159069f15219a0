"""What the SAM transform makes of templates, for emulators: they expand a stack's own template, but none it nests.

The transform is the one of the emulator's environment, run there, so that deploying needs no package of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from perennial.errors import DeployError

SECONDS = 60.0

_PROGRAM = """
import json, logging, os, sys
from types import SimpleNamespace
os.environ["AWS_DEFAULT_REGION"] = sys.argv[1]
logging.disable(logging.ERROR)
from samtranslator.model.exceptions import InvalidDocumentException
from samtranslator.translator.transform import transform
found = {}
for name, template in json.load(sys.stdin).items():
    if template.pop("Transform", None) is not None:
        try:
            template = transform(template, {}, SimpleNamespace(load=dict))
        except InvalidDocumentException as error:
            sys.exit(f"{name}: {error.message} {' '.join(cause.message for cause in error.causes)}")
    found[name] = template
json.dump(found, sys.stdout)
"""


def expand(templates: Mapping[str, dict[str, Any]], python: Path, region: str) -> dict[str, dict[str, Any]]:
    """The templates, by their names, without what only the SAM transform understands.

    Raises:
        DeployError: a template is no SAM template, or ``python`` has no SAM translator.
    """
    command = [str(python), "-c", _PROGRAM, region]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}  # asks AWS nothing
    try:
        result = subprocess.run(  # noqa: S603 - our own interpreter and program
            command, input=json.dumps(templates), capture_output=True, text=True, timeout=SECONDS, check=False,
            env=environment,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise DeployError(f"{python}: cannot expand the templates: {error}", remedy="Run `make setup`.") from error
    if result.returncode:
        said = result.stderr.strip().splitlines() or ["it ended"]
        raise DeployError(f"The templates cannot be expanded: {said[-1][:400]}")
    found: dict[str, dict[str, Any]] = json.loads(result.stdout)
    return found
