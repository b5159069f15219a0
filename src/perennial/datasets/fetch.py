"""One picture from an address: from the open internet only, within bounds of bytes and time, tried again if that helps.

Proxies of the environment are not used: behind one, nobody could say which address a name led to.
"""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from urllib.parse import urljoin

from perennial.datasets.addresses import Address, Resolve, checked, parse_address, resolved
from perennial.datasets.lines import Connect, Limits, connected, open_line
from perennial.errors import DataError

REDIRECTS = 5
PIECE_BYTES = 1 << 16
LONGEST_PAUSE = 10.0
_MOVED = frozenset({301, 302, 303, 307, 308})
_LATER = frozenset({408, 425, 429})
_BINARY = frozenset({"", "application/octet-stream", "binary/octet-stream"})


@dataclass(frozen=True)
class Fetcher:
    """How pictures are downloaded.

    ``max_bytes`` bounds one picture, ``seconds`` all attempts at it, ``silence`` (seconds) the time in which nothing
    arrives. ``private`` allows addresses that only this machine or its network reaches.
    """

    max_bytes: int
    private: bool = False
    seconds: float = 60.0
    silence: float = 15.0
    attempts: int = 4
    pause: float = 0.5
    resolve: Resolve = resolved
    connect: Connect = connected
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def fetch(self, url: str) -> bytes:
        """What an address answers with.

        Raises:
            DataError: it cannot be had; the message says why, and names no address.
        """
        until = self.clock() + self.seconds
        for attempt in range(self.attempts):
            try:
                return self._follow(url, until)
            except _Again as error:
                pause = max(self.pause * 2**attempt, min(error.pause, LONGEST_PAUSE))
                if attempt + 1 == self.attempts or self.clock() + pause >= until:
                    raise DataError(error.reason, remedy="Try again later.") from error
                self.sleep(pause)
        raise AssertionError("the last attempt returns or raises")

    def _follow(self, url: str, until: float) -> bytes:
        """Ask, and go where one is sent to, each place checked as the first."""
        for _ in range(REDIRECTS + 1):
            found = self._ask(parse_address(url), until)
            if isinstance(found, bytes):
                return found
            try:
                url = urljoin(url, found.location)
            except ValueError:
                raise DataError("is sent on to what is no address.", remedy="Check it.") from None
        raise DataError(f"is sent on more than {REDIRECTS} times.", remedy="Give the address at its end.")

    def _ask(self, address: Address, until: float) -> bytes | _Moved:
        over = threading.Event()
        try:
            places = checked(address, private=self.private, resolve=self.resolve)
            with open_line(address, places, self._limits(until), over) as line:
                connection = http.client.HTTPConnection(address.host, address.port)
                connection.auto_open = 0
                connection.sock = line
                connection.request("GET", address.target, headers=_headers(address))
                with closing(connection.getresponse()) as response:
                    answer = self._answer(response)
            if over.is_set():  # a connection that was cut looks like one that came to its end
                raise TimeoutError
            return answer
        except ssl.SSLCertVerificationError as error:
            raise DataError(f"has no valid certificate ({error.verify_message}).", remedy="Check the host.") from error
        except socket.gaierror as error:
            reason = f"names a host that cannot be found ({error.strerror})."
            if error.errno == socket.EAI_AGAIN:
                raise _Again(reason) from error
            raise DataError(reason, remedy="Check the address.") from error
        except (OSError, http.client.HTTPException) as error:
            if over.is_set() or self.clock() >= until:
                raise DataError(f"took longer than {self.seconds:g} seconds.", remedy="Try again later.") from error
            raise _Again(f"could not be read ({_why(error)}).") from error

    def _limits(self, until: float) -> Limits:
        return Limits(until, self.silence, self.connect, self.clock)

    def _answer(self, response: http.client.HTTPResponse) -> bytes | _Moved:
        status, location = response.status, response.getheader("Location")
        if status in _MOVED and location:
            return _Moved(location)
        if status in _LATER or status >= 500:
            raise _Again(f"answered {status} {response.reason}.", _seconds(response.getheader("Retry-After")))
        if status != 200:
            raise DataError(f"answered {status} {response.reason}.", remedy="Check the address.")
        kind = (response.getheader("Content-Type") or "").partition(";")[0].strip().lower()
        if not kind.startswith("image/") and kind not in _BINARY:
            raise DataError(f"answered with {kind[:80]}, not with a picture.", remedy="Check the address.")
        if (packed := response.getheader("Content-Encoding", "identity").lower()) != "identity":
            raise DataError(f"answered packed by {packed[:80]}, unasked.", remedy="Check the address.")
        return self._body(response)

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        """The whole body. ``length`` is what its header promised, None where it said nothing."""
        promised = response.length
        if promised is not None and promised > self.max_bytes:
            raise self._too_large()
        data = bytearray()
        # read1 where nothing was promised: read would take a chunk of negative size for all there is to come
        read = response.read1 if promised is None else response.read
        while piece := read(PIECE_BYTES):
            data += piece
            if len(data) > self.max_bytes:
                raise self._too_large()
        if promised is not None and len(data) != promised:
            raise http.client.IncompleteRead(b"", promised - len(data))
        return bytes(data)

    def _too_large(self) -> DataError:
        return DataError(
            f"is larger than {self.max_bytes:,} bytes.", remedy="Raise `image.download_bytes`, or leave it."
        )


@dataclass(frozen=True)
class _Moved:
    location: str


class _Again(Exception):
    """An attempt failed in a way that another may not. ``pause`` in seconds, as the other side asked for."""

    def __init__(self, reason: str, pause: float = 0.0) -> None:
        super().__init__(reason)
        self.reason, self.pause = reason, pause


def _headers(address: Address) -> dict[str, str]:
    return {
        "Host": address.named,
        "User-Agent": "perennial",
        "Accept": "image/*, application/octet-stream;q=0.5",
        "Accept-Encoding": "identity",
        "Connection": "close",
    }


def _seconds(header: str | None) -> float:
    """Retry-After in seconds; a date, which few send, counts as nothing."""
    return float(header) if header is not None and header.isascii() and header.isdigit() else 0.0


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, http.client.IncompleteRead):
        return "it ended too early"
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:120] or type(error).__name__
