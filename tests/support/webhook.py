"""A webhook on this machine that answers, refuses or stays silent, and keeps what it was sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PATH = "/services/T000/B000/s3cr3t"


@dataclass
class Webhook:
    """``status`` and ``answer`` are those of every post to come; ``location`` redirects. ``silent`` never answers."""

    url: str = ""
    status: int = 200
    answer: bytes = b"ok"
    location: str | None = None
    silent: bool = False
    posts: list[str] = field(default_factory=list)
    """The texts that came."""


@contextmanager
def webhook() -> Iterator[Webhook]:
    """A webhook for the time of the block, on a free port."""
    state = Webhook()
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            if state.silent:
                ended.wait(10)
                return
            state.posts.append(json.loads(body)["text"])
            self.send_response(state.status)
            if state.location:
                self.send_header("location", state.location)
            self.end_headers()
            self.wfile.write(state.answer)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}{PATH}"
    try:
        yield state
    finally:
        ended.set()
        server.shutdown()
        server.server_close()
        thread.join()
