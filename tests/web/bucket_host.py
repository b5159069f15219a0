"""A bucket as a browser meets it: takes files by the form that the API signed, has them scored, and gives results.

It holds a form to its policy as S3 does, answers in S3's words, and can be told to be slow, to break off, or to refuse.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from perennial.errors import AlreadyExistsError
from perennial.scoring.batch.bench import Bench, Shift
from perennial.scoring.batch.events import Dropped
from perennial.scoring.batch.outputs import Upload
from perennial.scoring.batch.work import carry_out
from perennial.store import Store
from tests.web.web_harness import BUCKET

PIECE = 1 << 16
PATIENCE = 30.0


@dataclass
class BucketHost:
    """What the server does is told here, and what it saw.

    ``pages`` is the origin whose pages may send. An upload is read up to ``held_at`` bytes while ``flowing`` is not
    set. The next ``cuts`` uploads break off there; of the next ``lost`` the answer does. ``refusal`` is the status and
    body of the next answer. What arrived is scored by the real thing as soon as ``scoring`` is set.
    """

    store: Store
    pages: str
    held_at: int = 1_000_000
    cuts: int = 0
    lost: int = 0
    refusal: tuple[int, str] | None = None
    flowing: threading.Event = field(default_factory=threading.Event)
    scoring: threading.Event = field(default_factory=threading.Event)
    origin: str = ""
    begun: int = 0
    arrived: list[str] = field(default_factory=list)
    at_once: int = 0
    most_at_once: int = 0
    workers: list[threading.Thread] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"{self.origin}/{BUCKET}"

    def put(self, key: str, body: bytes) -> None:
        """Store a file, and have it scored as an event of S3 would."""
        self.arrived.append(key)
        try:
            self.store.put_new(key, body)
        except AlreadyExistsError:
            return  # a further version, of which the first is scored
        worker = threading.Thread(target=self._score, args=(key,), daemon=True)
        self.workers.append(worker)
        worker.start()

    def _score(self, key: str) -> None:
        if self.scoring.wait(PATIENCE):
            carry_out(_bench(self.store), Dropped(key.partition("/")[0], key, None, None, None), Shift())


@contextmanager
def bucket_host(store: Store, pages: str) -> Iterator[BucketHost]:
    """A bucket on a free port of this machine, which takes and scores whatever is sent until it is told otherwise."""
    host = BucketHost(store, pages)
    host.flowing.set()
    host.scoring.set()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"host": host}))
    server.daemon_threads = True
    host.origin = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield host
    finally:
        host.flowing.set()
        host.scoring.set()
        for worker in host.workers:
            worker.join(10)
        server.shutdown()
        server.server_close()
        thread.join(5)


def _bench(store: Store) -> Bench:
    class NoUploads:
        def begin(self, key: str, media_type: str) -> Upload:
            raise AssertionError(f"{key} is larger than anything of these tests")

    return Bench(
        store=store,
        bucket=BUCKET,
        uploads=NoUploads(),
        elsewhere=lambda bucket: store,
        now=lambda: datetime.now(UTC),
        clock=time.monotonic,
        part_bytes=1 << 28,
    )


class _Handler(BaseHTTPRequestHandler):
    host: BucketHost

    def do_OPTIONS(self) -> None:
        asked = self.headers.get("Access-Control-Request-Method")
        allowed = self.headers.get("Origin") == self.host.pages and asked == "POST"
        self._answer(200 if allowed else 403, b"", {"Access-Control-Allow-Methods": "POST"} if allowed else {})

    def do_POST(self) -> None:
        self.host.begun += 1
        self.host.at_once += 1
        self.host.most_at_once = max(self.host.most_at_once, self.host.at_once)
        try:
            body = self._body()
        finally:
            self.host.at_once -= 1
        if body is not None:
            self._take(body)

    def do_GET(self) -> None:
        address = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(address.query).items()}
        signed = datetime.strptime(query["X-Amz-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        if (datetime.now(UTC) - signed).total_seconds() > int(query["X-Amz-Expires"]):
            return self._answer(403, _error("AccessDenied", "Request has expired"))
        body = self.host.store.get(unquote(address.path).removeprefix(f"/{BUCKET}/")).data
        headers = {"Content-Disposition": query["response-content-disposition"]}
        self._answer(200, body, headers, query["response-content-type"])

    def _body(self) -> bytes | None:
        """What is sent, or None where it broke off."""
        left, read = int(self.headers["Content-Length"]), bytearray()
        while left > 0:
            if len(read) >= self.host.held_at:
                self.host.flowing.wait(PATIENCE)
                if self.host.cuts > 0:
                    self.host.cuts -= 1
                    self._cut()
                    return None
            piece = self.rfile.read(min(PIECE, left))
            if not piece:
                return None
            read += piece
            left -= len(piece)
        return bytes(read)

    def _take(self, body: bytes) -> None:
        if self.host.refusal is not None:
            (status, words), self.host.refusal = self.host.refusal, None
            return self._answer(status, words.encode())
        fields, file = _parts(self.headers["Content-Type"], body)
        refusal = _judge(fields, file)
        if refusal is not None:
            return self._answer(*refusal)
        self.host.put(fields["key"], file)
        if self.host.lost > 0:
            self.host.lost -= 1
            self._cut()
            return None
        return self._answer(204, b"")

    def _cut(self) -> None:
        """The connection is reset, as by a network that is gone."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.close()
        self.close_connection = True

    def _answer(
        self, status: int, body: bytes, headers: dict[str, str] | None = None, media_type: str = "application/xml"
    ) -> None:
        self.send_response(status)
        if self.headers.get("Origin") == self.host.pages:
            self.send_header("Access-Control-Allow-Origin", self.host.pages)
        for name, value in {"Content-Type": media_type, "Content-Length": str(len(body)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def finish(self) -> None:
        try:
            super().finish()
        except (OSError, ValueError):  # it was cut
            return

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: a test says what is wrong."""


def _parts(media_type: str, body: bytes) -> tuple[dict[str, str], bytes]:
    """The fields before the file, and the file, of ``multipart/form-data``."""
    boundary = b"\r\n--" + media_type.partition("boundary=")[2].encode()
    fields: dict[str, str] = {}
    for part in (b"\r\n" + body).split(boundary):
        head, _, content = part.partition(b"\r\n\r\n")
        if name := re.search(rb'name="([^"]*)"', head):
            if name[1] == b"file":
                return fields, content
            fields[name[1].decode().lower()] = content.decode()
    raise AssertionError("There is no file in the form.")


def _judge(fields: dict[str, str], file: bytes) -> tuple[int, bytes] | None:
    """What S3 would answer to a form that does not keep to its policy; its signature is not checked here."""
    policy = json.loads(base64.b64decode(fields["policy"]))
    if datetime.fromisoformat(policy["expiration"]) < datetime.now(UTC):
        return 403, _error("AccessDenied", "Invalid according to Policy: Policy expired.")
    for condition in policy["conditions"]:
        if isinstance(condition, dict):
            [(name, value)] = condition.items()
            if name != "bucket" and fields.get(name.lower()) != value:
                return 403, _error("AccessDenied", f"Invalid according to Policy: {name}")
        elif len(file) > condition[2]:
            return 400, _error("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size")
    return None if fields.get("x-amz-signature") else (403, _error("AccessDenied", "No signature"))


def _error(code: str, message: str) -> bytes:
    return f"<?xml version='1.0'?><Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
