"""Where an address of the internet leads, and whether a download may go there.

A name is looked up once, all it stands for is checked, and the connection is made to what was checked: a name that
stands for something else a moment later gains nothing.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, quote, urlsplit

from perennial.errors import DataError

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], list[str]]
"""IP addresses of a host's name and a port. Raises OSError."""

PORTS = {"http": 80, "https": 443}
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.IPv6Network("64:ff9b:1::/48")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


@dataclass(frozen=True)
class Address:
    """An http or https address, taken apart. ``target`` is its path and query, as a request names them."""

    secure: bool
    host: str
    port: int
    target: str

    @property
    def named(self) -> str:
        """As the header Host has it."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS["https" if self.secure else "http"] else f"{host}:{self.port}"


def parse_address(text: str) -> Address:
    """Take an address apart. Raises DataError where it is none, or holds a user's name or password."""
    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme.lower(), _ascii(parts.hostname or ""), parts.port
    except ValueError:  # UnicodeError is one
        raise DataError("is no address.", remedy="Check it.") from None
    if scheme not in PORTS or not host:
        raise DataError("is no http or https address.", remedy="Give one, or a path.")
    if "@" in parts.netloc:
        raise DataError("holds a user's name or password.", remedy="Give an address that needs none.")
    return Address(scheme == "https", host, port or PORTS[scheme], _target(parts))


def shown(text: str) -> str:
    """An address or a path as it may be kept: without a user's name or password."""
    scheme, mark, rest = text.partition("://")
    if not mark:
        return text
    place, slash, path = rest.partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path}"


def resolved(host: str, port: int) -> list[str]:
    """What the system's resolver says."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


def checked(address: Address, *, private: bool, resolve: Resolve = resolved) -> list[str]:
    """The IP addresses to connect to.

    Raises:
        DataError: one of them is not of the open internet, and ``private`` addresses are not allowed.
        OSError: the host is unknown, or the resolver does not answer.
    """
    found = resolve(address.host, address.port)
    if not found:
        raise OSError(f"{address.host} has no address")
    if not private and any(not is_public(one) for one in found):
        raise DataError(
            f"leads to {address.host}, which only this machine or its network reaches.",
            remedy="Set `image.private_addresses: true` to allow it.",
        )
    return found


def is_public(text: str) -> bool:
    """Whether an IP address is one of the open internet: an IPv4 address in IPv6's clothes is judged by itself."""
    ip = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address) and (inner := _inside(ip)) is not None:
        return is_public(str(inner))
    special = ip.is_multicast or ip.is_reserved or ip.is_loopback or ip.is_link_local or ip.is_unspecified
    local = isinstance(ip, ipaddress.IPv6Address) and (ip.is_site_local or ip in _NAT64_LOCAL)
    return ip.is_global and not (special or ip.is_private or local)


def _ascii(host: str) -> str:
    """A host's name as DNS knows it. Raises UnicodeError where it cannot be one."""
    return host if ":" in host else host.encode("idna").decode()


def _inside(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that one of IPv6 stands for: mapped, compatible, 6to4, Teredo's client, or by NAT64."""
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    if ip in _NAT64 or (ip in _COMPATIBLE and int(ip) > 1):
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return None


def _target(parts: SplitResult) -> str:
    path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    return f"{path}?{quote(parts.query, safe='/%:@!$&()*+,;=~-._?')}" if parts.query else path
