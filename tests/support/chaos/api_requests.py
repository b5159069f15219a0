"""Requests that are odd elsewhere than in their body: paths, methods, headers, and what stands between them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from tests.support.chaos.api_corpus import MARK
from tests.support.chaos.api_send import Request
from tests.support.models import IRIS_RECORD

RECORD = json.dumps(IRIS_RECORD).encode()
TYPE = ("content-type", "application/json")
PREDICT = "/models/iris/predict"
NO_ROUTE = frozenset({404})


@dataclass(frozen=True)
class Odd:
    """One request and the statuses that may answer it: 400 to 499 where none are named. ``alike`` where a server and a
    function have to give the same one."""

    family: str
    name: str
    request: Request
    statuses: frozenset[int] = frozenset()
    alike: bool = True

    @property
    def title(self) -> str:
        return f"{self.family}: {self.name}"


@dataclass(frozen=True)
class Broken:
    """Bytes that are no HTTP, or not all of it, or two readings of it. A server may answer, or end the connection, or
    wait for the rest while others are served."""

    name: str
    data: bytes


def odd() -> Iterator[Odd]:
    yield from _paths()
    yield from _methods()
    yield from _headers()


def _paths() -> Iterator[Odd]:
    names = (
        "..", "%2e%2e", "..%2f..%2fetc%2fpasswd", ".", "%2e", "", "IRIS", "iris%00", "iris%0d%0ax-injected:1", "%ff",
        "%c0%af", "iris%20", "iris%2f", "iris;x=1", "%69ris%2fpredict", "__proto__", "%7b0.__class__%7d",
        "%24%7bjndi:ldap%7d", "%EF%BD%89ris", "a" * 41, "a" * 8000, "%" * 30, "iris%", "iris*", "'%20OR%201=1",
        "%2575ris", "registry%2falias%2fchampion.json", "site",
    )  # fmt: skip
    routes = (("POST", "/predict"), ("POST", "/feedback"), ("POST", "/batches"), ("GET", "/schema"), ("GET", ""))
    for name, (method, rest) in product(names, routes):
        headers, body = ((TYPE,), RECORD) if method == "POST" else ((), b"")
        request = Request(method, f"/models/{name}{rest}", headers, body)
        # A model's name may be empty, or a slash, and a path be another's then.
        allowed = frozenset({200, 404, 405, 413, 415, 422})
        yield Odd("paths", f"{method} {request.target[:60]!a}", request, allowed)
    for target in (
        "//models/iris/predict", "/models/iris/predict/", "/models/iris//predict", "/models/iris/predict/..",
        "/Models/iris/predict", "/models/iris/predict%2f", "/models/iris/./predict", f"/{MARK}", "/" + "a/" * 4000,
        "/.git/config", "/models/iris/predict;a=b", "/models/iris/predict%3fexplain=1", "/%2e%2e/%2e%2e/etc/passwd",
        "/models/iris/batches/..%2f..%2fx/../..",
    ):  # fmt: skip
        yield Odd("paths", f"{target[:60]}", Request("POST", target, (TYPE,), RECORD), frozenset({404, 405}))
    # A slash is a slash to a server, however it is spelled; a gateway tells them apart, and it decides who may call.
    request = Request("POST", "/models%2firis%2fpredict", (TYPE,), RECORD)
    yield Odd("paths", "encoded slashes", request, frozenset({200, 404}), alike=False)
    for identifier in (MARK, "..", "%2e%2e%2fx", "A" * 43, "A" * 5000, "%00" * 43, "-" * 43):
        yield Odd("paths", f"a batch {identifier[:20]}", Request("GET", f"/models/iris/batches/{identifier}"), NO_ROUTE)
    for query in ("?" + "a=1&" * 10_000, f"?{MARK}", "?%00", "?%ff=%ff", "?explain=9", "?" + "%" * 1000):
        yield Odd("paths", f"a query {query[:20]}", Request("POST", PREDICT + query, (TYPE,), RECORD), frozenset({200}))
    for query in ("?explain=9", "?explain=1&explain=1", f"?explain={MARK}", "?explain=%00"):
        image = (("content-type", "image/png"),)
        yield Odd(
            "paths", f"pictures {query}", Request("POST", "/models/pets/predict" + query, image, b"x"), frozenset({422})
        )


def _methods() -> Iterator[Odd]:
    refused = frozenset({405})
    for method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW", "post", "M" * 1000, "HEAD"):
        known = method in ("GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "HEAD")  # others, a parser may refuse
        allowed = refused if known else frozenset({400, 405})
        yield Odd("methods", f"{method[:10]} where one posts", Request(method, PREDICT), allowed, alike=known)
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
        yield Odd("methods", f"{method} where one reads", Request(method, "/models"), refused)
    for name in ("x-http-method-override", "x-http-method", "x-method-override"):
        yield Odd("methods", name, Request("POST", PREDICT, (TYPE, (name, "DELETE")), RECORD), frozenset({200}))
        yield Odd("methods", f"{name} of a read", Request("GET", PREDICT, ((name, "POST"),)), refused)
    yield Odd("methods", "_method", Request("POST", f"{PREDICT}?_method=GET", (TYPE,), RECORD), frozenset({200}))
    yield Odd("methods", "a body of a read", Request("GET", "/health", (TYPE,), b"x" * 100_000), frozenset({200}))


def _headers() -> Iterator[Odd]:
    fine = frozenset({200})
    for name, value in (
        ("x-correlation-id", f"{MARK}\u00e9"), ("x-correlation-id", "a" * 10_000), ("x-request-id", MARK),
        ("x-caller-id", MARK * 500), ("x-caller-id", ""), ("range", "bytes=0-1"), ("if-none-match", "*"),
        ("if-match", MARK), ("expect", "100-continue"), ("expect", MARK), ("te", "trailers"),
        ("cookie", "a=b; " * 1500), ("authorization", f"Bearer {MARK}"), ("accept", "text/html"),
        ("accept", "*/*;q=0"), ("accept-encoding", "*;q=0"), ("origin", f"https://{MARK}.example"),
        ("x-forwarded-for", MARK), ("x-forwarded-port", MARK), ("x-forwarded-port", "443,443"),
        ("x-forwarded-proto", f"javascript:{MARK}"), ("x-forwarded-host", MARK), ("forwarded", f"for={MARK}"),
        ("x-amzn-request-context", "{}"), ("x-original-url", "/docs"), ("x-rewrite-url", "/docs"),
        ("referer", f"http://{MARK}/"), ("user-agent", "() { :;}; reboot"), ("upgrade-insecure-requests", "1"),
        ("proxy", "http://127.0.0.1:9"), ("content-md5", MARK), ("digest", MARK), ("content-language", MARK),
        ("x-" + "n" * 5000, "1"),
    ):  # fmt: skip
        yield Odd(
            "headers", f"{name[:30]}: {value[:20]!a}", Request("POST", PREDICT, (TYPE, (name, value)), RECORD), fine
        )
    many = tuple((f"x-{number}", "a") for number in range(90))
    yield Odd("headers", "90 of them", Request("POST", PREDICT, (TYPE, *many), RECORD), fine)
    repeated = tuple(("x-caller-id", MARK) for _ in range(200))
    yield Odd("headers", "200 of one name", Request("POST", PREDICT, (TYPE, *repeated), RECORD), fine)


def broken() -> Iterator[Broken]:
    """What a server of HTTP has to stop, before any of ours is asked."""
    head = f"POST {PREDICT} HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
    size = f"content-length: {len(RECORD)}\r\n"
    for name, lines in (
        ("a length too small", "content-length: 5\r\n"), ("a length too large", "content-length: 500\r\n"),
        ("a length below zero", "content-length: -1\r\n"), ("a length that is none", f"content-length: {MARK}\r\n"),
        ("a length of 5,000 digits", f"content-length: {'9' * 5000}\r\n"),
        ("two lengths", size + "content-length: 3\r\n"),
        ("a length and chunks", size + "transfer-encoding: chunked\r\n"),
        ("chunks twice", "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n"),
        ("another coding", f"transfer-encoding: {MARK}\r\n"),
        ("chunks that are none", "transfer-encoding: chunked\r\n"), ("a line without a colon", f"{size}{MARK}\r\n"),
        ("a folded line", f"{size}x-a: b\r\n {MARK}\r\n"), ("a zero in a line", f"{size}x-a: {MARK}\x00\r\n"),
        ("a line feed alone", f"{size}x-a: {MARK}\nx-b: c\r\n"), ("a blank before a colon", f"{size}x-a : {MARK}\r\n"),
        ("two hosts", f"{size}host: {MARK}\r\n"), ("1,000 lines", size + f"x-a: {MARK}\r\n" * 1000),
        ("a line of 1 MB", f"{size}x-a: {MARK}{'a' * 1_000_000}\r\n"),
        ("100,000 lines", size + "x-a: b\r\n" * 100_000),
    ):  # fmt: skip
        yield Broken(name, head.encode() + lines.encode() + b"\r\n" + RECORD)
    chunked = head.encode() + b"transfer-encoding: chunked\r\n\r\n"
    for name, tail in (
        ("a chunk of no size", b"zz\r\n"), ("a chunk of a huge size", b"f" * 100 + b"\r\na\r\n"),
        ("a chunk below zero", b"-1\r\na\r\n"), ("a chunk without an end", b"ff\r\na"),
        ("a chunk's long extension", b"1;" + b"a" * 100_000 + b"\r\na\r\n0\r\n\r\n"),
        ("trailers without an end", b"0\r\n" + b"a: b\r\n" * 50_000),
    ):  # fmt: skip
        yield Broken(name, chunked + tail)
    for name, data in (
        ("HTTP/0.9", f"GET {PREDICT}\r\n".encode()),
        ("HTTP/3.0", f"GET {PREDICT} HTTP/3.0\r\nhost: a\r\n\r\n".encode()),
        ("a preface of HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        ("a greeting of TLS", bytes.fromhex("16030100c8010000c40303") + bytes(200)), ("zeros", bytes(100_000)),
        ("noise", bytes(range(256)) * 1000), ("a line of 1 MB", b"GET /" + b"a" * 1_000_000),
        ("no host", b"GET /health HTTP/1.1\r\n\r\n"),
        ("an address for a path", f"GET http://{MARK}.example/health HTTP/1.1\r\nhost: a\r\n\r\n".encode()),
        ("a connection to elsewhere", f"CONNECT {MARK}.example:443 HTTP/1.1\r\nhost: a\r\n\r\n".encode()),
        ("a path that is none", f"GET {MARK} HTTP/1.1\r\nhost: a\r\n\r\n".encode()),
        ("a star", b"OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n"),
        ("blanks in a path", f"GET /a {MARK} HTTP/1.1\r\nhost: a\r\n\r\n".encode()),
        ("letters beyond ASCII", "GET /models/\uff49ris HTTP/1.1\r\nhost: a\r\n\r\n".encode()),
        ("half a line", b"POST /mod"), ("a head without an end", head.encode()),
    ):  # fmt: skip
        yield Broken(name, data)
