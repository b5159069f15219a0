"""Passes HTTP requests on to one endpoint, and does to each what is decided for it. One event loop, no threads."""

from __future__ import annotations

import asyncio
import socket
from asyncio import IncompleteReadError, LimitOverrunError, StreamReader, StreamWriter
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from urllib.parse import urlsplit

from tests.support.chaos.faults import REFUSALS, Asked, Decision, Fault, Refusal
from tests.support.chaos.memory import Memory
from tests.support.chaos.wire import LIMIT, Message, read_answer, read_request

Decide = Callable[[Asked], Decision]
_BROKEN = (OSError, IncompleteReadError, LimitOverrunError, ValueError, IndexError)
_IDLE_SECONDS = 1.0


async def nobody_dies(client: str) -> None:
    raise RuntimeError(f"{client} was to be killed, and nobody is there to do it")


class Relay:
    """Listens once per client, so that each has a numbering of its own.

    ``decide`` is asked for each request as it has arrived whole. ``kill`` ends a client; whatever that one asked is
    held until it has returned. ``late`` is the longest time in seconds that a late request is on its way. Answers are
    kept for stale reads only where it ``remembers``. ``unheard`` counts, by path, writes that took effect and whose
    answer was lost.
    """

    def __init__(
        self, endpoint_url: str, decide: Decide, *, kill: Callable[[str], Awaitable[None]] = nobody_dies,
        late: float = 0.5, remembers: bool = False,
    ) -> None:  # fmt: skip
        target = urlsplit(endpoint_url)
        self._host, self._port = target.hostname or "127.0.0.1", target.port or 80
        self._decide, self._kill, self._late = decide, kill, late
        self._memory = Memory() if remembers else None
        self.injected: Counter[str] = Counter()
        self.unheard: Counter[str] = Counter()
        self.requests = 0
        self.down = self.calm = False
        self._numbers: Counter[str] = Counter()
        self._idle: list[tuple[StreamReader, StreamWriter, float]] = []
        self._under_way: set[asyncio.Task[None]] = set()
        self._handling: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []

    async def listen(self, client: str) -> int:
        """A new port, on which everyone is this client."""

        async def handle(reader: StreamReader, writer: StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._handling.add(task)  # asyncio itself forgets it when the client is gone, though S3 has yet to answer
            task.add_done_callback(self._handling.discard)
            try:
                while await self._one(client, reader, writer):
                    pass
            except _BROKEN:  # either side is gone
                pass
            finally:
                writer.transport.abort()

        server = await asyncio.start_server(handle, "127.0.0.1", 0, limit=LIMIT, backlog=512)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def settle(self) -> None:
        """Wait until nothing is on its way any more."""
        while self._under_way:
            await asyncio.wait(self._under_way)

    def close(self) -> None:
        for server in self._servers:
            server.close()

    async def _one(self, client: str, reader: StreamReader, writer: StreamWriter) -> bool:
        """Serve one request; whether the connection goes on."""
        request = await read_request(reader, lambda: writer.write(b"HTTP/1.1 100 Continue\r\n\r\n"))
        if request is None or self.down:
            return False
        self.requests += 1
        decision = Decision(None)
        if not self.calm:
            self._numbers[client] += 1
            method, target, _ = request.start.decode("latin-1").split(" ", 2)
            decision = self._decide(Asked(client, self._numbers[client], method, target))
        answer = await self._under(decision, client, request, reader)
        if answer is None:
            return False
        writer.write(answer)
        await writer.drain()
        return decision.fault is not Fault.TRUNCATED

    async def _under(self, decision: Decision, client: str, request: Message, reader: StreamReader) -> bytes | None:
        """The bytes to answer with under a fault; None where the connection is to be reset instead."""
        fault = decision.fault
        if isinstance(fault, Fault) and fault is not Fault.STALE:
            self.injected[fault] += 1
        match fault:
            case Refusal():
                return _refused(request, fault)
            case Fault.INTERNAL | Fault.CONFLICT | Fault.SLOW_DOWN:
                return _refused(request, REFUSALS[fault])
            case Fault.LOST:
                self._note_unheard(request, await self._forward(request))
            case Fault.PARTIAL:
                await self._send_half(request)
            case Fault.TIMEOUT:
                if decision.draw < 0.5:
                    await self._forward(request)
                await reader.read(1)  # ends when the client has given up
            case Fault.TRUNCATED:
                answer = await self._forward(request)
                bytes_of_head = len(answer.head())
                return answer.raw()[: bytes_of_head + len(answer.body) // 2 if answer.body else bytes_of_head // 2]
            case Fault.STALE:
                return await self._stale(request, decision.draw)
            case Fault.DUPLICATED:
                await self._forward(request)
                return (await self._forward(request)).raw()
            case Fault.ECHOED:
                self._send_late(request, decision.draw)
                return (await self._forward(request)).raw()
            case Fault.LATE:
                self._send_late(request, decision.draw)
            case Fault.KILL_BEFORE:
                await self._kill(client)
            case Fault.KILL_AFTER:
                await self._forward(request)
                await self._kill(client)
            case None:
                return (await self._forward(request)).raw()
        return None

    def _note_unheard(self, request: Message, answer: Message) -> None:
        """Take down the path of a write that took effect, and whose answer is lost."""
        method, target, _ = request.start.decode("latin-1").split(" ", 2)
        if method == "PUT" and answer.start.split(b" ", 2)[1].startswith(b"2"):
            self.unheard[urlsplit(target).path] += 1

    async def _forward(self, request: Message) -> Message:
        """Ask the endpoint, never twice by itself: a connection idle for long is not used again."""
        reader, writer = await self._connection()
        try:
            writer.write(request.raw())
            answer, again = await read_answer(reader, bodiless=request.start.startswith(b"HEAD "))
        except BaseException:
            writer.transport.abort()
            raise
        if again:
            self._idle.append((reader, writer, asyncio.get_running_loop().time()))
        else:
            writer.close()
        if self._memory is not None:
            self._memory.keep(request, answer)
        return answer

    async def _stale(self, request: Message, draw: float) -> bytes:
        answer = await self._forward(request)
        earlier = self._memory.earlier(request, answer, draw) if self._memory else None
        if earlier is None:
            return answer.raw()
        self.injected[Fault.STALE] += 1
        return earlier.raw()

    async def _connection(self) -> tuple[StreamReader, StreamWriter]:
        now = asyncio.get_running_loop().time()
        while self._idle:
            reader, writer, since = self._idle.pop()
            if now - since < _IDLE_SECONDS and not reader.at_eof():
                return reader, writer
            writer.close()
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=LIMIT)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return reader, writer

    async def _send_half(self, request: Message) -> None:
        _, writer = await asyncio.open_connection(self._host, self._port)
        raw = request.raw()
        writer.write(raw[: len(request.head()) + len(request.body) // 2] if request.body else raw[: len(raw) // 2])
        await writer.drain()
        writer.close()

    def _send_late(self, request: Message, draw: float) -> None:
        task = asyncio.create_task(self._forward_after(draw * self._late, request))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _forward_after(self, seconds: float, request: Message) -> None:
        await asyncio.sleep(seconds)
        with suppress(*_BROKEN):
            await self._forward(request)


def _refused(request: Message, refusal: Refusal) -> bytes:
    body = f"<Error><Code>{refusal.code}</Code><Message>Injected.</Message></Error>".encode()
    head = b"HTTP/1.1 %d Injected\r\ncontent-type: application/xml\r\ncontent-length: %d\r\n\r\n"
    return head % (refusal.status, len(body)) + (b"" if request.start.startswith(b"HEAD ") else body)
