"""A proxy in front of an S3 endpoint that spoils chosen answers, so that obstore meets real faults on the wire."""

from __future__ import annotations

import http.client
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


@dataclass
class Faults:
    """What happens to the requests to come, in order; after the last one they all pass.

    A number is answered with that status, the S3 error ``code`` of the same position, without reaching the
    bucket; ``"lose"`` forwards and then drops the connection; ``"cut"`` forwards and ends the answer halfway.
    """

    plan: list[int | str] = field(default_factory=list)
    code: str = "Injected"
    seen: list[str] = field(default_factory=list)


@contextmanager
def proxied(endpoint_url: str, faults: Faults) -> Iterator[str]:
    """The address of a proxy to ``endpoint_url`` under ``faults``, for the time of the block."""
    target = urlsplit(endpoint_url).netloc

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            faults.seen.append(self.command)
            fault = faults.plan.pop(0) if faults.plan else "pass"
            if isinstance(fault, int):
                self._answer(fault, [], f"<Error><Code>{faults.code}</Code></Error>".encode())
                return
            upstream = http.client.HTTPConnection(target, timeout=10)
            upstream.request(self.command, self.path, body, dict(self.headers))
            answer = upstream.getresponse()
            content = answer.read()
            upstream.close()
            if fault == "lose":
                self.close_connection = True
                self.connection.shutdown(socket.SHUT_RDWR)
            else:
                self._answer(answer.status, answer.getheaders(), content, cut=fault == "cut")

        do_PUT = do_HEAD = do_GET  # noqa: N815 - names given by http.server

        def _answer(self, status: int, headers: list[tuple[str, str]], body: bytes, cut: bool = False) -> None:
            self.send_response_only(status)
            length = str(len(body))
            for name, value in headers:
                if name.lower() == "content-length":
                    length = value
                elif name.lower() not in ("connection", "transfer-encoding"):
                    self.send_header(name, value)
            self.send_header("content-length", length)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body[: len(body) // 2] if cut else body)
            if cut:
                self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
