"""A load of HTTP requests over connections that stay open: each asks again as soon as it was answered.

One thread, prebuilt requests, and of an answer no more is read than its status and where it ends, so that on a shared
machine nearly all of the time is the server's. Standard library only.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle

OK = b"HTTP/1.1 200 "
END = b"\r\n\r\n"
LENGTH = b"\r\ncontent-length:"
PART = 65_536
PATIENCE = 30.0

Address = tuple[str, int]


class LoadError(Exception):
    """A server answered something else than 200, in a way that is not understood, or not at all."""


@dataclass(frozen=True)
class Turn:
    """What one server did while it was asked: ``latencies`` in seconds, one for each answer, over ``seconds``."""

    latencies: Sequence[float]
    seconds: float

    @property
    def rate(self) -> float:
        """Answers in a second."""
        return len(self.latencies) / self.seconds


class Reader:
    """Puts one connection's answers together from whatever parts they arrive in."""

    def __init__(self) -> None:
        self._data = b""
        self._start = self._end = 0

    def feed(self, data: bytes) -> bytes | None:
        """The body of the answer that ``data`` completes; None while there is more to come.

        Raises:
            LoadError: its status is not 200, it does not say how long it is, or more came than was asked for.
        """
        self._data = data = self._data + data if self._data else data
        if not self._end:
            head = data.find(END)
            if head < 0:
                return None
            self._start, self._end = head + len(END), whole_length(data, head)
        if len(data) < self._end:
            return None
        if len(data) > self._end:
            raise LoadError(f"{len(data) - self._end} bytes came that nobody asked for")
        body = data[self._start :]
        self._data, self._end = b"", 0
        return body


def whole_length(data: bytes, head: int) -> int:
    """Bytes of the whole answer whose head ends at ``head``. Raises LoadError as ``Reader.feed``."""
    if not data.startswith(OK):
        raise LoadError(f"{data[:head].decode('latin-1').splitlines()[0]}: {data[head + len(END) :][:300]!r}")
    found = data[: head + 2].lower()
    at = found.find(LENGTH)
    if at < 0:
        raise LoadError("an answer does not say how long it is")
    at += len(LENGTH)
    return head + len(END) + int(found[at : found.index(b"\r\n", at)])


def request_of(address: Address, path: str, body: bytes) -> bytes:
    """The bytes of one request for JSON."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {address[0]}:{address[1]}\r\nAccept: application/json\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def ask(address: Address, request: bytes) -> bytes:
    """The body of one answer. Raises LoadError as ``Reader.feed``, and OSError where nobody listens."""
    reader = Reader()
    with _connect(address) as connection:
        connection.sendall(request)
        while True:
            body = reader.feed(_received(connection))
            if body is not None:
                return body


def load(address: Address, requests: Sequence[bytes], *, connections: int, seconds: float) -> Turn:
    """Keep so many new ``connections`` busy for ``seconds``, each with every request over and over.

    Raises:
        LoadError: an answer is not 200, or a connection ends or falls silent.
    """
    with selectors.DefaultSelector() as selector:
        lines = [_Line(_connect(address), _turning(requests, place / connections)) for place in range(connections)]
        try:
            for line in lines:
                selector.register(line.connection, selectors.EVENT_READ, line)
                line.send()
            latencies: list[float] = []
            began = time.perf_counter()
            ended = _run(selector, began + seconds, latencies)
        finally:
            for line in lines:
                line.connection.close()
    return Turn(latencies, ended - began)


@dataclass(slots=True)
class _Line:
    """One connection, and what it asks next."""

    connection: socket.socket
    requests: Iterator[bytes]
    reader: Reader = field(default_factory=Reader)
    sent: float = 0.0

    def send(self) -> None:
        self.sent = time.perf_counter()
        self.connection.sendall(next(self.requests))


def _run(selector: selectors.BaseSelector, until: float, latencies: list[float]) -> float:
    """Answer what arrives until a moment; when it ended."""
    now = time.perf_counter()
    while now < until:
        events = selector.select(PATIENCE)
        if not events:
            raise LoadError(f"no answer within {PATIENCE:g} s")
        for key, _ in events:
            line: _Line = key.data
            if line.reader.feed(_received(line.connection)) is not None:
                now = time.perf_counter()
                latencies.append(now - line.sent)
                line.send()
    return now


def _turning(requests: Sequence[bytes], share: float) -> Iterator[bytes]:
    """All of them over and over, from that share of them on."""
    start = int(share * len(requests))
    return cycle([*requests[start:], *requests[:start]])


def _connect(address: Address) -> socket.socket:
    connection = socket.create_connection(address, PATIENCE)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(PART)
    if not data:
        raise LoadError("the connection ended before the answer did")
    return data
