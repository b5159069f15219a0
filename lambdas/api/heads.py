"""HTTP as uvicorn reads it with httptools, but with an end to what comes around a body, no upgrade, and our errors.

httptools takes heads of any length: one client that goes on sending headers would fill the memory and hold up everybody
else. uvicorn's other parser ends them at 64 KiB. And where a client offers another protocol, as Java's does with every
POST, httptools stops behind the head, whoever declines: the body would be lost, or be taken for the next request.
Loaded only where a server is started.
"""

from __future__ import annotations

import os
import time

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from lambdas.api.observed import NOSNIFF
from lambdas.api.problems import Problem, problem_response
from perennial.serving.ids import uuid7

MAX_BYTES = 65_536
BROKEN = "The request is not valid HTTP."


class BoundedHttp(HttpToolsProtocol):
    """Answers 400 and hangs up once more than ``MAX_BYTES`` came that are no body: a head, or what follows a body.

    What arrives at once, 256 KiB at most, is read first.
    """

    _around = 0

    def data_received(self, data: bytes) -> None:
        self._around += len(data)
        self._unset_keepalive_if_required()
        unread = [memoryview(data)]
        try:
            while unread:
                piece = unread.pop()
                try:
                    self.parser.feed_data(piece)
                except httptools.HttpParserUpgrade as stopped:
                    unread += [piece[stopped.args[0] :], memoryview(self._without_offer())]
                    self.parser = httptools.HttpRequestParser(self)
                    self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn reads
        except httptools.HttpParserError:
            self.send_400_response(BROKEN)
            return
        if self._around > MAX_BYTES and not self.transport.is_closing():
            self.send_400_response(BROKEN)

    def _without_offer(self) -> bytes:
        """The head that was read, to be read again. Raises HttpParserError where it would be no other then."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        lines = [b"%s %s HTTP/%s" % (method, self.url, version)]
        lines += [b"%s: %s" % header for header in self.headers if header[0] != b"upgrade"]
        if method == b"CONNECT" or any(b"\r" in line or b"\n" in line for line in lines):
            raise httptools.HttpParserError
        return b"\r\n".join([*lines, b"", b""])

    def on_headers_complete(self) -> None:
        if not self.parser.should_upgrade():
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._around = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        if not self.parser.should_upgrade():
            self._around = 0
            super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is told so as any other error is, though no application is asked."""
        request_id = uuid7(time.time(), os.urandom(10))
        response = problem_response(Problem(400, "broken-request", msg), request_id)
        headers = [*response.raw_headers, (b"x-request-id", request_id.encode()), NOSNIFF, (b"connection", b"close")]
        lines = [b"HTTP/1.1 400 Bad Request", *(b"%s: %s" % header for header in headers), b"", bytes(response.body)]
        self.transport.write(b"\r\n".join(lines))
        self.transport.close()
