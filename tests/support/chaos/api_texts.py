"""More bodies: JSON that is no record, too much of it, what means something elsewhere, and what is not as it says."""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Iterator

from tests.support.chaos.api_corpus import (
    BROKEN,
    LARGE,
    MARK,
    NAME_MARK,
    TAKEN,
    UNREAD,
    WRONG,
    Hostile,
    each,
    quoted,
    value,
)  # fmt: skip
from tests.support.models import IRIS_RECORD, MIXED_RECORD

MEGABYTE = 1 << 20
RECORD = json.dumps(IRIS_RECORD)


def shapes() -> Iterator[Hostile]:
    """JSON that is no record, and what is nearly JSON."""
    family = "shapes"
    yield from each(family, BROKEN, [("empty", ""), ("blanks", " \r\n\t "), ("a form feed", "\f")])
    bare = ("null", "[]", "{}", "17", '"text"', "true", '{"instances": []}', '{"instances": null}')
    yield from each(family, WRONG, [(text, text) for text in bare])
    yield from each(
        family,
        WRONG,
        [
            ("a list of records", f"[{RECORD}]"),
            ("instances that are one record", f'{{"instances": {RECORD}}}'),
            ("instances within instances", f'{{"instances": [{{"instances": [{RECORD}]}}]}}'),
            ("instances and more", f'{{"instances": [{RECORD}], "{NAME_MARK}": 1}}'),
            ("1,001 instances", json.dumps({"instances": [IRIS_RECORD] * 1001})),
            ("instances of all kinds", '{"instances": [null, 1, "a", [], {}, true]}'),
            ("instances among fields", json.dumps(IRIS_RECORD | {"instances": []})),
        ],
    )
    entity = "<!DOCTYPE x [<!ENTITY y SYSTEM 'file:///etc/passwd'>]>"
    yield from each(
        family,
        BROKEN,
        [
            ("two documents", RECORD + RECORD),
            ("something after it", RECORD + " x"),
            ("a comment", RECORD + " // comment"),
            ("a comma too many", RECORD[:-1] + ",}"),
            ("no end", RECORD[:-1]),
            ("single quotes", RECORD.replace('"', "'")),
            ("no quotes", RECORD.replace('"', "")),
            ("a prefix against inclusion", ")]}',\n" + RECORD),
            ("a function call", f"callback({RECORD})"),
            ("a form's fields", f"petal_width={MARK}&sepal_width=1"),
            ("XML", f"<?xml version='1.0'?>{entity}<x>&y;{MARK}</x>"),
            ("YAML", f"!!python/object/apply:os.system ['{MARK}']"),
            ("a pickle", b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94."),
        ],
    )


def sizes() -> Iterator[Hostile]:
    """More than anyone needs."""
    family, record = "sizes", RECORD.encode()
    yield from each(
        family,
        LARGE,
        [
            ("a text of 10 MB", value(MARK + "a" * 10_000_000)),
            ("10 MB of blanks", record.ljust(10_000_000)),
            ("a byte too many", record.ljust(MEGABYTE + 1)),
            ("100,000 keys in 1.3 MB", "{" + ",".join(f'"k{n:06}":1' for n in range(100_000)) + "}"),
        ],
    )
    yield Hostile(family, "10 MB in chunks", value("a" * 10_000_000), LARGE, chunked=True)
    yield from each(
        family,
        WRONG,
        [
            ("100,000 keys in 0.9 MB", "{" + ",".join(f'"{n:x}":1' for n in range(100_000)) + "}"),
            ("100,000 times one key", "{" + ",".join(['"a":1'] * 100_000) + "}"),
            ("a name of 1 MB", '{"' + "n" * 1_000_000 + '": 1}'),
            ("a text of 1 MB", value(MARK + "a" * 1_000_000)),
            ("3,000 problems", json.dumps({"instances": [{"petal_width": MARK}] * 1000})),
            ("colons", quoted(":" * 1_000_000)),
            ("backslashes", quoted("\\\\" * 500_000)),
            ("escapes", quoted(r"\u0041" * 150_000)),
        ],
    )


def names() -> Iterator[Hostile]:
    """Keys and texts that mean something to somebody downstream."""
    family = "names and texts"
    keys = (
        "__proto__", "constructor", "prototype", "__class__", "__init__", "model_fields", "model_config", "self", "",
        "toString", "$where", "instances.0", "sepal_length.", "SEPAL_LENGTH", "sepal_length ", "\u0000",
        "a\u0007\u001b[2J", "\u202esepal", f"{NAME_MARK}\r\nx-injected: 1", f"<script>{NAME_MARK}</script>",
        "\U0001f4a3" * 300, "a" * 100_000,
    )  # fmt: skip
    yield from each(family, WRONG, [(f"a key {key[:20]!a}", json.dumps(IRIS_RECORD | {key: 1})) for key in keys])
    texts = (
        "'; DROP TABLE users; --", '" OR 1=1 --', "<img src=x onerror=alert(1)>", "{{7*7}}", "{0.__class__.__mro__}",
        "${jndi:ldap://127.0.0.1/a}", "%s%n%x", "$(reboot)", "`reboot`", "../../../../etc/passwd", "\\\\host\\share",
        "=1+1", "%0d%0aSet-Cookie:a=b", "\r\nContent-Length: 0\r\n\r\n", "\u0000", "file:///etc/passwd", "A" * 8000,
    )  # fmt: skip
    yield from each(family, WRONG, [(f"a text {text[:20]!a}", value(MARK + text)) for text in texts])


def types() -> Iterator[Hostile]:
    """Values of another type than they say."""
    family = "types"
    values = (
        "0.2", " 0.2 ", True, False, None, [0.2], {"value": 0.2}, "2026-11-21", "", 1e308, -1e-9, 2**200, 1_795_000_000,
    )  # fmt: skip
    yield from each(family, WRONG, [(f"{given!r:.30} for a number", value(given)) for given in values])
    changes: tuple[tuple[str, object], ...] = (
        ("Since", "2026-02-30"), ("Since", "2026-13-01"), ("Since", "0000-01-01"), ("Since", 1_795_000_000),
        ("Since", "999999-01-01"), ("Since", []), ("Age", 33.5), ("Age", 10**400), ("Age", True), ("City", 5),
        ("City", MARK * 10_000), ("City", None), ("City", ["Goa"]), ("Sleep Duration", {MARK: MARK}),
    )  # fmt: skip
    mixed = [
        (f"{given!r:.30} as {name}", json.dumps(MIXED_RECORD | {name: given}))
        for name, given in changes
    ]  # fmt: skip
    yield from each(family, WRONG, mixed, model="mixed")


def content_types() -> Iterator[Hostile]:
    """Content types that are not what comes, or nothing at all."""
    family, record = "content types", RECORD.encode()
    for kind in (
        "application/json; charset=utf-7", "application/json; charset=utf-16", "application/json; charset=latin-1",
        "application/json; boundary=x; charset=utf-8", "text/plain", "text/json", "application/x-www-form-urlencoded",
        "application/xml", "application/octet-stream", "image/png", "multipart/form-data", "application/pickle",
        "multipart/form-data; boundary=x", "application/jsonp", "application", "/", ";", "*/*", "",
        "application/json, text/plain", "a" * 5000, "application/json;" + " " * 5000 + "x",
    ):  # fmt: skip
        yield Hostile(family, kind[:60] or "none", record, UNREAD, content_type=kind)
    for kind in ("application/JSON", 'application/json; charset="UTF-8"', "application/json;charset=utf-8"):
        yield Hostile(family, kind, record, TAKEN, content_type=kind)
    yield Hostile(family, "two that differ", record, UNREAD, headers=(("content-type", "text/plain"),))
    form = f'--x\r\ncontent-disposition: form-data; name="image"; filename="a"\r\n\r\n{MARK}\r\n--x--\r\n'
    yield Hostile(family, "JSON said, a form sent", form.encode(), BROKEN)


def codings() -> Iterator[Hostile]:
    """Bodies that are packed, or say so."""
    family, record = "content encodings", RECORD.encode()
    bomb = gzip.compress(b" " * 50_000_000 + record)
    for name, body, coding in (
        ("a bomb", bomb, "gzip"),
        ("a bomb of a bomb", gzip.compress(bomb), "gzip, gzip"),
        ("deflate", zlib.compress(record), "deflate"),
        ("said but not packed", record, "gzip"),
        *((coding, record, coding) for coding in ("br", "zstd", "x-gzip", "gzip, identity", MARK, "identity;q=0")),
    ):
        yield Hostile(family, name, body, UNREAD, headers=(("content-encoding", coding),))
    yield Hostile(family, "packed without saying so", gzip.compress(record), BROKEN)
    yield Hostile(family, "identity", record, TAKEN, headers=(("content-encoding", "Identity"),))
    yield Hostile(family, "in chunks", record, TAKEN, chunked=True)
