"""A connection to an IP address that was checked, under the name it was looked up by, cut when its time is over."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import cache

from perennial.datasets.addresses import Address

Connect = Callable[[tuple[str, int], float], socket.socket]
"""Open a connection to an IP address and port, within so many seconds. Raises OSError."""


def connected(place: tuple[str, int], seconds: float) -> socket.socket:
    """Connect by the system."""
    return socket.create_connection(place, timeout=seconds)


@dataclass(frozen=True)
class Limits:
    """A connection lasts ``until`` then, by ``clock`` (seconds), and is given up after ``silence`` seconds of it."""

    until: float
    silence: float
    connect: Connect
    clock: Callable[[], float]


@contextmanager
def open_line(
    address: Address, places: Sequence[str], limits: Limits, over: threading.Event
) -> Iterator[socket.socket]:
    """A connection to the first of the IP addresses that answers, by TLS where the address is secure.

    When its time is over it is cut and ``over`` is set: a line that was cut reads like one that came to its end.

    Raises:
        OSError: none answers; ssl.SSLCertVerificationError where the host's certificate does not vouch for its name.
    """
    plain = _first(places, address.port, limits)
    with closing(plain), closing(plain.dup()) as same:  # the copy can be cut while TLS works on the other
        watch = threading.Timer(max(0.0, limits.until - limits.clock()), _cut, [same, over])
        watch.daemon = True
        watch.start()
        try:
            line = trust().wrap_socket(plain, server_hostname=address.host) if address.secure else plain
            with closing(line):
                yield line
        finally:
            watch.cancel()


@cache
def trust() -> ssl.SSLContext:
    """Whose certificates are believed: those that the system does."""
    return ssl.create_default_context()


def _first(places: Sequence[str], port: int, limits: Limits) -> socket.socket:
    failure: OSError = TimeoutError("no time is left")
    for place in places:
        left = limits.until - limits.clock()
        if left <= 0:
            break
        try:
            return limits.connect((place, port), min(limits.silence, left))
        except OSError as error:
            failure = error
    raise failure


def _cut(line: socket.socket, over: threading.Event) -> None:
    over.set()
    with suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
