"""A real server over a registry in S3, by HTTP, and who writes to that registry."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import urlopen

from perennial.deploy.ministack import REGION, MiniStack
from perennial.registry.log import ModelLog, next_entry
from perennial.registry.registry import Registry
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import open_store
from tests.support.chaos.served import Served, serving
from tests.support.chaos.serving_models import MODEL, Version
from tests.support.models import NOW, register
from tests.support.signing import local_signer, trusting

SOON = 30.0
"""Seconds within which what must come comes, on a machine however busy."""
TIMEOUT = 10.0
"""Seconds that a client waits for an answer, as long as the function has."""


@dataclass(frozen=True)
class Shop:
    """A bucket that promotions are written to, and the settings of servers that read it."""

    settings: Settings
    store: Store

    @property
    def registry(self) -> Registry:
        return Registry(self.store)

    def promote(self, version: Version, op_id: str) -> None:
        register(self.store, Publishable(version))
        self.registry.promote(MODEL, version.version, op_id=op_id, actor="chaos", reason="", now=NOW)

    def forge(self, version: str, op_id: str) -> None:
        """Make a version champion as somebody with a promoter's rights may, who asks no gate and verifies nothing."""
        log = ModelLog(self.store, MODEL)
        newest = log.newest()
        entry = next_entry(newest, log.intend(op_id, "promotion", version), version, actor="", reason="", now=NOW)
        log.append(entry)
        log.advance_alias(entry)

    def put(self, key: str, data: bytes | None) -> None:
        """What stands under a key from here on, whatever stood there; None for nothing."""
        raw: Any = self.store._raw
        if data is None:
            raw.delete(key)
        else:
            raw.put(key, data, mode="overwrite", use_multipart=False)

    @contextmanager
    def served(
        self, *, endpoint_url: str | None = None, app: str | None = None, refresh: float = 0.05
    ) -> Iterator[Served]:
        """A warm server of this bucket, seen through a proxy where that has an address."""
        update = {"refresh_seconds": refresh} | ({"aws_endpoint_url": endpoint_url} if endpoint_url else {})
        with serving(self.settings.model_copy(update=update).exports(), app=app) as server:
            assert await_(lambda: ready(server).get("status") == "ready"), "it finds no version to serve"
            yield server


@dataclass(frozen=True)
class Publishable:
    """A version as the registry's helpers take one."""

    of: Version

    @property
    def manifest(self) -> Any:
        return self.of.manifest

    @property
    def onnx(self) -> bytes:
        return self.of.onnx


def shop(stack: MiniStack, bucket: str) -> Shop:
    """A new bucket whose versions must be signed."""
    s3: Any = stack.aws.client("s3")
    s3.create_bucket(Bucket=bucket)
    settings = Settings(
        bucket=bucket, aws_endpoint_url=stack.endpoint_url, region=REGION, trusted_keys=trusting(local_signer()).text
    )
    return Shop(settings, open_store(settings))


def ready(server: Served) -> Mapping[str, Any]:
    """What ``/ready`` tells of the one model; nothing where it knows of none."""
    try:
        with urlopen(f"{server.url}/ready", timeout=TIMEOUT) as answer:
            told: list[Mapping[str, Any]] = json.load(answer)["models"]
    except HTTPError as error:
        with error:
            told = json.load(error)["models"]
    return told[0] if told else {}


def await_(what: Callable[[], bool]) -> bool:
    """Whether something comes true soon."""
    deadline = time.monotonic() + SOON
    while not what():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
