"""A machine whose clock is far off: S3 says so, and so does the error, at reads, writes and listings."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from perennial.errors import StoreRefused
from perennial.settings import Settings
from perennial.store import Store
from perennial.store_opening import open_store

REFUSAL = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>RequestTimeTooSkewed</Code><Message>The difference between '
    b"the request time and the current time is too large.</Message><RequestTime>20261121T090000Z</RequestTime>"
    b"<ServerTime>2026-11-21T09:20:00Z</ServerTime><MaxAllowedSkewMilliseconds>900000</MaxAllowedSkewMilliseconds></Error>"
)
"""As S3 answers a request that was signed twenty minutes ago, or will be: its error responses are documented."""


class Strict(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        self.send_response(403)
        self.send_header("content-length", str(len(REFUSAL)))
        self.end_headers()
        self.wfile.write(REFUSAL)

    def do_PUT(self) -> None:
        self.do_GET()

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Strict)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield open_store(Settings(bucket="models", aws_endpoint_url=f"http://127.0.0.1:{server.server_port}"))
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    "request_of",
    [lambda store: store.get("m/a"), lambda store: store.put_new("m/a", b"x"), lambda store: list(store.list("m/"))],
    ids=["get", "put", "list"],
)
def test_a_clock_that_is_far_off_is_named(store: Store, request_of: Callable[[Store], object]) -> None:
    with pytest.raises(StoreRefused, match=r"this machine's clock is more than 15 minutes off\. Set the clock.*doctor"):
        request_of(store)
