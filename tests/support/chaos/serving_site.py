"""One warm server in this process, over a bucket whose objects are spoiled, and what it answers meanwhile."""

from __future__ import annotations

import asyncio
import io
import json
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any, TypeVar

import pytest
from obstore.store import MemoryStore

from lambdas.api import services
from lambdas.api.app import create_app
from lambdas.api.telemetry import Telemetry
from perennial import keys
from perennial.registry.log import CHAMPION, LogEntry
from perennial.settings import Settings
from perennial.store import Store
from perennial.trust import TrustedKeys
from tests.support.chaos.serving_models import MODEL, NEW, OLD, Version
from tests.support.models import NOW, body, promote
from tests.support.seam import Fault, Seam, perform
from tests.support.signing import local_signer, trusting
from tests.support.stores import Clock

T = TypeVar("T")
REFRESH = 15.0
ALIAS = keys.alias(MODEL, CHAMPION)


@dataclass(frozen=True)
class Told:
    """An answer, and the lines that were logged meanwhile."""

    status: int
    answer: Any
    lines: tuple[Mapping[str, Any], ...]


@dataclass
class Site:
    """A server that has loaded ``OLD``, while the registry says that ``NEW`` is champion.

    The server looks at the registry when ``clock`` has moved by ``REFRESH``. ``fault`` befalls each of its requests to
    the bucket, once ``hold`` is set where there is one; ``asked`` counts them. Where it reads the alias, it reads
    ``earlier``, if that is set; ``first_alias`` is what the alias was while ``OLD`` was champion.
    """

    trust: TrustedKeys | None
    raw: MemoryStore = field(default_factory=MemoryStore)
    clock: Clock = field(default_factory=Clock)
    fault: Fault = "pass"
    asked: int = 0
    hold: threading.Event | None = None
    earlier: bytes | None = None

    def __post_init__(self) -> None:
        self.writer = Store(self.raw, trust=self.trust)
        promote(self.writer, OLD)
        self.first_alias = self.writer.get(ALIAS).data
        store = Store(Seam(self.raw, self._around), trust=self.trust)
        settings = Settings(bucket="bucket", refresh_seconds=REFRESH)
        self.app = create_app(settings, store, clock=self.clock, telemetry=Telemetry(emit_metrics=True))
        self._runner = asyncio.Runner()
        assert self.predict().answer["model"]["version"] == OLD.version
        assert self.ready().status == 200
        promote(self.writer, NEW)

    def _around(self, operation: str, key: str, request: Any) -> Any:
        self.asked += 1
        if self.hold is not None:
            assert self.hold.wait(60)
        if self.earlier is not None and (operation, key) == ("get", ALIAS):
            return _stored(self.earlier)
        return perform(self.fault, request)

    def close(self) -> None:
        self._runner.close()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on the server's own event loop."""
        return self._runner.run(work)

    def predict(self) -> Told:
        """The answer to the one row whose answers by each version are known."""
        return self._tell("POST", f"/models/{MODEL}/predict", body(OLD.record))

    def ready(self) -> Told:
        return self._tell("GET", "/ready")

    @contextmanager
    def spoiled(self, objects: Mapping[str, bytes | None]) -> Iterator[None]:
        """For the time of a block, these objects hold other bytes, or are gone; then the server's next look is due."""
        before = {key: self.writer.find(key) for key in objects}
        self._put(objects)
        self.clock.advance(REFRESH)
        try:
            yield
        finally:
            self._put({key: found.data if found else None for key, found in before.items()})

    def forged(self, version: str, generation: int = 3) -> dict[str, bytes]:
        """What somebody with a promoter's rights writes, who asks no gate: an entry of the log, and the alias to it."""
        newest = LogEntry.from_bytes(self.writer.get(ALIAS).data, ALIAS)
        update = {"generation": generation, "op_id": "by hand", "version": version, "previous": newest.version}
        entry = newest.model_copy(update=update | {"time": NOW}).to_bytes()
        return {keys.log_entry(MODEL, generation): entry, ALIAS: entry}

    def _put(self, objects: Mapping[str, bytes | None]) -> None:
        for key, data in objects.items():
            if data is None:
                self.raw.delete(key)
            else:
                self.raw.put(key, data, mode="overwrite", use_multipart=False)

    def _tell(self, method: str, path: str, content: bytes = b"") -> Told:
        said = io.StringIO()
        with redirect_stdout(said):
            status, answer = self._runner.run(ask(self.app, method, path, content))
        return Told(status, json.loads(answer), tuple(json.loads(line) for line in said.getvalue().splitlines()))


def _stored(data: bytes) -> Any:
    """What a read answers where this is stored."""
    other = MemoryStore()
    other.put("it", data)
    return other.get("it")


async def ask(app: Any, method: str, path: str, content: bytes = b"") -> tuple[int, bytes]:
    """One request as an ASGI server makes it: status and body."""
    told: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        told.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "scheme": "http", "method": method,
        "path": path, "raw_path": path.encode(), "root_path": "", "query_string": b"", "server": ("api", 80),
        "client": ("127.0.0.1", 1), "headers": [(b"content-type", b"application/json")],
    }  # fmt: skip
    await app(scope, receive, send)
    return told[0]["status"], b"".join(message.get("body", b"") for message in told[1:])


@contextmanager
def site(*, signed: bool = True) -> Iterator[Site]:
    """A warm server that asks for signatures, or for none. Whoever looks waits to the end, however slow that is."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(services, "LOOK_SECONDS", 600.0)
        found = Site(trusting(local_signer()) if signed else None)
        try:
            yield found
        finally:
            found.close()


def agrees(told: Told, version: Version) -> bool:
    """Whether an answer is the one that a version has, and says so."""
    return told.status == 200 and version.answers(told.answer)


def alarms(line: Mapping[str, Any]) -> bool:
    """Whether a line makes CloudWatch count what has an alarm over all models: a version that is stale, or damaged.

    What is not there at all is not known to be damaged.
    """
    wanted = "StaleModel" if line.get("refresh_failure") == "not_found" else "IntegrityFailure"
    counted = any(
        one["Dimensions"] == [["service"]] and {"Name": wanted, "Unit": "Count"} in one["Metrics"]
        for one in line.get("_aws", {}).get("CloudWatchMetrics", ())
    )
    return counted and line[wanted] == 1 and line["level"] in ("WARNING", "ERROR")
