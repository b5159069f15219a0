"""The checks behind ``perennial doctor``: each says what it found and, where that is a fault, what to do."""

from __future__ import annotations

import json
import shutil
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

from pydantic import BaseModel, ConfigDict

from perennial.errors import AlreadyExistsError, PerennialError, SettingsError
from perennial.registry.check import check
from perennial.registry.registry import models
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import open_store

LIBRARIES = ("pydantic", "obstore", "numpy", "onnxruntime", "scikit-learn", "xgboost-cpu", "pyarrow", "onnx")
PROBE = ".doctor/probe"
LEAST_FREE_BYTES = 2_000_000_000


class Finding(BaseModel):
    """One thing looked at."""

    model_config = ConfigDict(frozen=True)

    what: str
    ok: bool
    found: str
    remedy: str | None = None


def examine() -> list[Finding]:
    """Look at everything; a fault in one place never hides the others."""
    findings = [*_machine()]
    try:
        settings = Settings.load()
    except SettingsError as error:
        return [*findings, Finding(what="settings", ok=False, found=error.message, remedy=error.remedy)]
    endpoint = settings.aws_endpoint_url or "AWS"
    findings.append(Finding(what="settings", ok=True, found=f"bucket {settings.bucket} at {endpoint}"))
    store = open_store(settings, client_timeout=5)
    findings += _bucket(store)
    if findings[-1].ok:
        findings += _models(store)
    if settings.api_url:
        findings.append(_api(settings.api_url))
    return findings


def _machine() -> Iterator[Finding]:
    running = ".".join(map(str, sys.version_info[:3]))
    yield Finding(
        what="python", ok=(3, 11) <= sys.version_info < (3, 14), found=running, remedy="Use Python 3.11, 3.12 or 3.13."
    )
    for name in LIBRARIES:
        try:
            yield Finding(what=name, ok=True, found=version(name))
        except PackageNotFoundError:
            yield Finding(what=name, ok=False, found="not installed", remedy="Run `make setup`.")
    free = shutil.disk_usage(".").free
    yield Finding(
        what="disk", ok=free > LEAST_FREE_BYTES, found=f"{free / 1e9:.1f} GB free", remedy="Free 2 GB of disk space."
    )


def _bucket(store: Store) -> Iterator[Finding]:
    """Whether the bucket can be read, and whether it keeps the one promise everything rests on."""
    try:
        store.folders()
        yield Finding(what="bucket", ok=True, found="readable")
        store.put_new(PROBE, b"first")
        try:
            store.put_new(PROBE, b"second")
        except AlreadyExistsError:
            yield Finding(what="conditional writes", ok=True, found="honoured")
        else:
            yield Finding(
                what="conditional writes", ok=False, found="ignored",
                remedy="This endpoint overwrites in spite of If-None-Match: the registry is not safe on it. Use S3.",
            )  # fmt: skip
    except PerennialError as error:
        yield Finding(what="bucket", ok=False, found=error.message, remedy=error.remedy)


def _models(store: Store) -> Iterator[Finding]:
    for model in models(store):
        violations = check(store, model)
        yield Finding(
            what=f"registry of {model}",
            ok=not violations,
            found="; ".join(str(violation) for violation in violations[:3]) or "all invariants hold",
            remedy=f"See `perennial log {model}`; a promotion or rollback works all the same.",
        )


def _api(url: str) -> Finding:
    remedy = "Is the stack up? `make up`, or look at the function's log."
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=10) as answer:  # noqa: S310 - the address is the owner's
            json.load(answer)
    except (OSError, ValueError, urllib.error.URLError) as error:
        return Finding(what="api", ok=False, found=f"{url}: {error}", remedy=remedy)
    return Finding(what="api", ok=True, found=url)
