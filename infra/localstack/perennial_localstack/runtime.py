"""One process that runs a function's code by awslambdaric, and the Runtime API that it asks for work.

The protocol is AWS's: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import SimpleQueue

PREFIX = "/2018-06-01/runtime"


@dataclass
class Work:
    """One invocation: what goes in, and once ``done``, what came out. ``timeout`` in seconds."""

    request_id: str
    arn: str
    trace: str
    event: bytes
    timeout: float
    done: threading.Event = field(default_factory=threading.Event)
    answer: bytes = b""
    failed: bool = False

    def finish(self, answer: bytes, *, failed: bool) -> None:
        """Answer it, once."""
        if not self.done.is_set():
            self.answer, self.failed = answer, failed
            self.done.set()


class Runtime:
    """A started process. Its output goes to a file, so that all of it is there when an invocation is answered."""

    def __init__(self, code: Path, handler: str, environment: Mapping[str, str]) -> None:
        self._waiting: SimpleQueue[Work] = SimpleQueue()
        self._current: Work | None = None
        self._init_error: bytes | None = None
        self._server = _serve(self)
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the process lives
        self._read = 0
        self._process = subprocess.Popen(  # noqa: S603 - this interpreter, and the code that was deployed
            [sys.executable, "-m", "awslambdaric", handler],
            cwd=code,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env={
                **environment,
                "PYTHONPATH": str(code),
                "LAMBDA_TASK_ROOT": str(code),
                "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{self._server.server_port}",
            },
        )

    def lives(self) -> bool:
        """Whether it can take another invocation."""
        return self._process.poll() is None

    def run(self, work: Work) -> None:
        """Have it done, or find it failed: by its code, by its end or by its time."""
        self._waiting.put(work)
        deadline = time.monotonic() + work.timeout
        while not work.done.wait(0.05):
            if not self.lives():
                work.finish(
                    self._init_error
                    or _error("Runtime.ExitError", work, f"Runtime exited with code {self._process.returncode}"),
                    failed=True,
                )
            elif time.monotonic() > deadline:
                self.end()
                text = f"Task timed out after {work.timeout:.2f} seconds"
                work.finish(_error("Sandbox.Timedout", work, text), failed=True)

    def output(self) -> str:
        """What it has written since this was last asked."""
        place = self._output.fileno()
        text = os.pread(place, os.fstat(place).st_size - self._read, self._read)  # the process owns the position
        self._read += len(text)
        return text.decode(errors="replace")

    def end(self) -> None:
        """Kill it, as a sandbox is."""
        self._process.kill()
        self._process.wait()
        self._server.shutdown()
        self._server.server_close()

    def next(self) -> Work:
        """The next invocation, waited for."""
        self._current = self._waiting.get()
        return self._current

    def take(self, path: str, body: bytes) -> None:
        """What the process has to say of its invocation, or of its start."""
        if path == f"{PREFIX}/init/error":
            self._init_error = body
        elif self._current is not None and self._current.request_id in path:
            self._current.finish(body, failed=path.endswith("/error"))


def _error(kind: str, work: Work, text: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": f"RequestId: {work.request_id} Error: {text}"}).encode()


def _serve(runtime: Runtime) -> ThreadingHTTPServer:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            work = runtime.next()
            deadline = int((time.time() + work.timeout) * 1000)
            self._answer(200, work.event, {
                "Content-Type": "application/json",  # without it, awslambdaric crashes
                "Lambda-Runtime-Aws-Request-Id": work.request_id,
                "Lambda-Runtime-Deadline-Ms": str(deadline),
                "Lambda-Runtime-Invoked-Function-Arn": work.arn,
                "Lambda-Runtime-Trace-Id": work.trace,
            })  # fmt: skip

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            self._answer(202, b"", {})
            runtime.take(self.path, body)

        def _answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server
