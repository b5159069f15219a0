"""HTTP/1.1 messages as bytes: read whole, passed on unchanged but for what is between two neighbours alone."""

from __future__ import annotations

from asyncio import IncompleteReadError, StreamReader
from collections.abc import Callable
from dataclasses import dataclass

LIMIT = 1 << 20
"""The longest head of a message, in bytes."""
_NEIGHBOURS = (b"connection:", b"keep-alive:", b"proxy-connection:", b"expect:")


@dataclass(frozen=True, slots=True)
class Message:
    """A request or an answer. ``body`` is as on the wire, with its chunks where it came in chunks."""

    start: bytes
    headers: tuple[bytes, ...]
    body: bytes

    def head(self) -> bytes:
        return b"\r\n".join((self.start, *self.headers, b"", b""))

    def raw(self) -> bytes:
        return self.head() + self.body

    def header(self, name: bytes) -> bytes | None:
        """The value of a header, by its lower-case name."""
        for line in self.headers:
            if line[: len(name)].lower() == name and line[len(name) : len(name) + 1] == b":":
                return line[len(name) + 1 :].strip()
        return None


async def read_request(reader: StreamReader, go_on: Callable[[], None]) -> Message | None:
    """The next request of a connection, None at its end. ``go_on`` asks for the body where the client waits for it."""
    try:
        start, lines = await _head(reader)
    except IncompleteReadError:
        return None
    if any(line.lower().startswith(b"expect:") for line in lines):
        go_on()
    request = Message(start, tuple(line for line in lines if not line.lower().startswith(_NEIGHBOURS)), b"")
    return Message(request.start, request.headers, await _body(reader, request) or b"")


async def read_answer(reader: StreamReader, *, bodiless: bool) -> tuple[Message, bool]:
    """An answer, and whether its connection may be used again. ``bodiless`` where the request was a HEAD.

    Raises:
        IncompleteReadError: the connection ended before the answer did.
    """
    start, lines = await _head(reader)
    while start.split(b" ", 2)[1].startswith(b"1"):
        start, lines = await _head(reader)
    closes = start.startswith(b"HTTP/1.0") or any(
        line.lower().startswith(b"connection:") and b"close" in line.lower() for line in lines
    )
    start = b"HTTP/1.1" + start[8:]
    answer = Message(start, tuple(line for line in lines if not line.lower().startswith(_NEIGHBOURS)), b"")
    if bodiless or start.split(b" ", 2)[1] in (b"204", b"304"):
        return answer, not closes
    body = await _body(reader, answer)
    if body is not None:
        return Message(answer.start, answer.headers, body), not closes
    body = await reader.read(-1)
    return Message(answer.start, (*answer.headers, b"content-length: %d" % len(body)), body), False


async def _head(reader: StreamReader) -> tuple[bytes, list[bytes]]:
    start, *lines = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
    return start, lines


async def _body(reader: StreamReader, message: Message) -> bytes | None:
    """None where only the end of the connection would tell the end of the body."""
    length = message.header(b"content-length")
    if length is not None:
        return await reader.readexactly(int(length))
    if (message.header(b"transfer-encoding") or b"").lower() != b"chunked":
        return None
    chunks = []
    while True:
        size = await reader.readuntil(b"\r\n")
        length_of = int(size.split(b";", 1)[0], 16)
        chunks += [size, await reader.readexactly(length_of) if length_of else b""]
        if length_of:
            chunks.append(await reader.readexactly(2))
            continue
        while (line := await reader.readuntil(b"\r\n")) != b"\r\n":
            chunks.append(line)
        return b"".join([*chunks, b"\r\n"])
