"""The deployed functions: whether they work on the same bucket under the same trust, and have room for their models."""

from __future__ import annotations

import json
import math
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

from botocore.exceptions import ClientError

from perennial.errors import PerennialError
from perennial.jobs.doctor.finding import Finding, Patient, looking
from perennial.registry.registry import Registry, models
from perennial.registry.verify import look_up

NAMES = ("api", "feedback", "capture", "score")
SERVING = ("api", "score")
PACKAGE_BYTES = 250 * 1024 * 1024
"""What Lambda takes unzipped, and so more than enough for a zip."""
MOST_MEGABYTES = 10_240
RUNTIME_MEGABYTES, COPIES = 200, 3
"""A function's memory before it loads a model, and how many times the bytes of a graph ONNX Runtime takes at most."""


def functions(patient: Patient) -> Iterator[Finding]:
    """Each function of the stack by its configuration."""
    largest = _largest(patient)
    for name in NAMES:
        with looking(f"function {name}"):
            told = _configuration(patient, name)
        if told is None:
            yield Finding(what=f"function {name}", ok=False, found="is not there", remedy=f"{patient.again} makes it.")
            continue
        yield _agreeing(patient, name, told)
        yield _size(patient, name, told)
        if name in SERVING and largest:
            yield _room(patient, name, told, *largest)


def api(patient: Patient) -> Iterator[Finding]:
    """Whether the API answers where the settings say that it is."""
    url = patient.settings.api_url
    if url is None:
        return
    remedy = "Is the stack up? `make up`, or look at the function's log."
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:  # noqa: S310 - the address is the owner's
            json.load(answer)
    except (OSError, ValueError, urllib.error.URLError) as error:
        yield Finding(what="api", ok=False, found=f"{url}: {error}", remedy=remedy)
    else:
        yield Finding(what="api", ok=True, found=url)


def _configuration(patient: Patient, name: str) -> dict[str, Any] | None:
    deployment = patient.deployment
    assert deployment is not None
    try:
        told: dict[str, Any] = patient.client("lambda").get_function_configuration(
            FunctionName=deployment.function(name)
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ResourceNotFoundException":
            return None
        raise
    return told


def _agreeing(patient: Patient, name: str, told: dict[str, Any]) -> Finding:
    env, settings = told.get("Environment", {}).get("Variables", {}), patient.settings
    differing = []
    if env.get("PERENNIAL_BUCKET") != settings.bucket:
        differing.append(f"PERENNIAL_BUCKET={env.get('PERENNIAL_BUCKET')}, here {settings.bucket}")
    trusted = env.get("PERENNIAL_TRUSTED_KEYS")
    if settings.trusted_keys is not None and trusted is not None and trusted != settings.trusted_keys:
        differing.append(f"PERENNIAL_TRUSTED_KEYS={trusted}, here {settings.trusted_keys}")
    found = "; ".join(differing) or "works on this bucket, by the same keys"
    return Finding(
        what=f"function {name}", ok=not differing, found=found,
        remedy=f"Set what is right here, or have it deployed: {patient.again}.",
    )  # fmt: skip


def _size(patient: Patient, name: str, told: dict[str, Any]) -> Finding:
    size = int(told.get("CodeSize", 0))
    return Finding(
        what=f"package of {name}", ok=size <= PACKAGE_BYTES,
        found=f"{size / 1e6:.0f} MB zipped, Lambda takes {PACKAGE_BYTES / 1e6:.0f} MB unzipped",
        remedy="Deploy it as an image: see docs/containers.md.",
    )  # fmt: skip


def _room(patient: Patient, name: str, told: dict[str, Any], model: str, size: int) -> Finding:
    memory, needed = int(told.get("MemorySize", 128)), RUNTIME_MEGABYTES + COPIES * size / 1e6
    enough = math.ceil(needed / 64) * 64
    where = "ApiMegabytes's default in template.yaml" if name == "api" else "MemorySize in infra/stacks/scoring.yaml"
    remedy = f"Set {where} to {enough}, then {patient.again}."
    if enough > MOST_MEGABYTES:
        remedy = f"No function has more than {MOST_MEGABYTES} MB: serve it from an image, see docs/containers.md."
    elif name == "api" and "STAGE=" in patient.again:
        remedy = f'{patient.again.removesuffix("`")} PARAMETERS="ApiMegabytes={enough}"` gives it more.'
    return Finding(
        what=f"memory of {name}", ok=needed <= memory,
        found=f"{memory} MB; {model}, the largest model, has {size / 1e6:.1f} MB and may take {needed:.0f}",
        remedy=remedy,
    )  # fmt: skip


def _largest(patient: Patient) -> tuple[str, int] | None:
    """The champion of the most bytes, if there is any; one that cannot be read is told of by its registry."""
    found = []
    for model in models(patient.store):
        try:
            head = Registry(patient.store).head(model)
            if head is not None:
                files = look_up(patient.store, model, head.version).files.values()
                found.append((model, max(file.size for file in files)))
        except PerennialError:
            continue
    return max(found, key=lambda one: one[1], default=None)
