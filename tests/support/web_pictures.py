"""A small HTTP server on this machine that answers, and misbehaves, as its paths say."""

from __future__ import annotations

import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.pictures import pet_bytes

GOOD = pet_bytes(1, "cat")


class PictureServer:
    """``url(path)`` is an address on it, ``asked`` counts the requests by path; ``hosts`` are the Host headers,
    ``sent`` the bytes of a body without end."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.asked: Counter[str] = Counter()
        self.hosts: list[str] = []
        self.sent = 0
        self.over = threading.Event()

    def url(self, path: str, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"


@contextmanager
def picture_server(tls: ssl.SSLContext | None = None) -> Iterator[PictureServer]:
    """Serve until the block is left; by TLS where a context is given."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            pass

        def do_GET(self) -> None:
            known.asked[self.path] += 1
            known.hosts.append(self.headers["Host"])
            name = self.path.strip("/").partition("?")[0].partition("/")[0].replace("-", "_")
            getattr(self, f"do_{name}", self.do_missing)()

        def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            sent = {"Content_Type": "image/png", "Content_Length": str(len(body)), **headers}
            for key, value in sent.items():
                if value:
                    self.send_header(key.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def do_good(self) -> None:
            self.answer(200, GOOD)

        def do_binary(self) -> None:
            self.answer(200, GOOD, Content_Type="binary/octet-stream")

        def do_untyped(self) -> None:
            self.answer(200, GOOD, Content_Type="")

        def do_page(self) -> None:
            self.answer(200, b"<html>sign in</html>", Content_Type="text/html; charset=utf-8")

        def do_svg(self) -> None:
            self.answer(200, b"<svg xmlns='http://www.w3.org/2000/svg'/>", Content_Type="image/svg+xml")

        def do_packed(self) -> None:
            self.answer(200, GOOD, Content_Encoding="gzip")

        def do_missing(self) -> None:
            self.answer(404)

        def do_busy(self) -> None:
            times = known.asked[self.path]
            status = (429, 503, 200)[min(times, 3) - 1]
            self.answer(status, GOOD if status == 200 else b"", Retry_After="7" if times == 1 else "")

        def do_down(self) -> None:
            self.answer(500)

        def do_hop(self) -> None:
            left = int(self.path.rsplit("/", 1)[1])
            self.answer(302, Location=f"/hop/{left - 1}" if left else "/good")

        def do_inward(self) -> None:
            self.answer(301, Location=f"http://inside.test:{known.port}/good")

        def do_file(self) -> None:
            self.answer(302, Location="file:///etc/passwd")

        def do_secret(self) -> None:
            self.answer(302, Location=f"http://me:word@127.0.0.1:{known.port}/good")

        def do_nowhere(self) -> None:
            self.answer(302, Location="http://[broken/")

        def do_declared(self) -> None:
            self.answer(200, b"", Content_Length="900000000")

        def do_endless(self) -> None:
            self.answer(200, Content_Length="", Connection="close")
            while not known.over.is_set():
                self.wfile.write(bytes(1 << 16))

        def do_chunks(self) -> None:
            self.answer(200, Content_Length="", Transfer_Encoding="chunked")
            for start in range(0, len(GOOD), 100):
                piece = GOOD[start : start + 100]
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            self.wfile.write(b"0\r\n\r\n")

        def do_negative(self) -> None:
            """A chunk of less than nothing, which is read up to the end that never comes."""
            self.answer(200, b"-1\r\n", Content_Length="", Transfer_Encoding="chunked")
            while not known.over.is_set():
                self.wfile.write(bytes(1 << 16))
                known.sent += 1 << 16

        def do_short(self) -> None:
            self.answer(200, GOOD[:50], Content_Length=str(len(GOOD)))
            self.close_connection = True

        def do_silent(self) -> None:
            known.over.wait(20)

        def do_drip(self) -> None:
            self.answer(200, Content_Length="1000")
            while not known.over.is_set():
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.02)

        def do_drip_open(self) -> None:
            """A body without an announced end."""
            self.answer(200, Content_Length="", Connection="close")
            while not known.over.is_set():
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.02)

        def do_drip_header(self) -> None:
            self.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
            while not known.over.is_set():
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.02)

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up is what these tests are about."""

    server = Quiet(("127.0.0.1", 0), Handler)
    if tls is not None:
        server.socket = tls.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    known = PictureServer(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield known
    finally:
        known.over.set()
        server.shutdown()
        thread.join()
        server.server_close()
