"""Bodies that somebody sends who means harm, or whose client is broken: what each is, and how it must be answered.

Whatever stands in a value carries a mark, which must come back in no answer and stand in no log.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.support.models import IRIS_RECORD

MARK = "m4rk-3f9c2e"
NAME_MARK = "n4me-71d0aa"
"""Stands where a name stands: problems name fields, and so may this; logs may not."""
JSON = "application/json"
TAKEN, BROKEN, LARGE, UNREAD, WRONG = (frozenset({status}) for status in (200, 400, 413, 415, 422))
REFUSED = BROKEN | WRONG


@dataclass(frozen=True)
class Hostile:
    """One body. ``statuses`` are those that a prediction of ``model`` may answer it with: 400 to 499 where none are
    named. ``headers`` are beside its content type, which is none at all where that is empty."""

    family: str
    name: str
    body: bytes
    statuses: frozenset[int] = frozenset()
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    chunked: bool = False
    model: str = "iris"


Named = Iterable[tuple[str, str | bytes]]


def each(family: str, statuses: frozenset[int], bodies: Named, *, model: str = "iris") -> Iterator[Hostile]:
    """A case for each of these bodies, answered alike."""
    for name, body in bodies:
        yield Hostile(family, name, body.encode() if isinstance(body, str) else body, statuses, model=model)


def value(given: object) -> bytes:
    """The record of an iris with something else in one field."""
    return json.dumps(IRIS_RECORD | {"petal_width": given}).encode()


def spelled(text: str | bytes) -> bytes:
    """The same with what stands in that field as it is spelled."""
    return value("@").replace(b'"@"', text.encode() if isinstance(text, str) else text)


def quoted(text: str | bytes) -> bytes:
    """The same with a text, as it is spelled between its quotes, behind the mark."""
    return value("@").replace(b"@", MARK.encode() + (text.encode() if isinstance(text, str) else text))


def numbers() -> Iterator[Hostile]:
    """Numbers that are none, that nobody's float holds, or that everybody spells otherwise."""
    family, digits = "numbers", "9" * 5000
    infinite = ("NaN", "-NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1e400", "1E+309")
    yield from each(family, REFUSED, [(text, spelled(text)) for text in infinite])
    odd = ("nan", "inf", "0x10", "01", "+1", "1.", ".5", "1_000", "1e", "--1", "1,5", "\uff11")
    yield from each(family, BROKEN, [(f"spelled {text}", spelled(text)) for text in odd])
    yield from each(
        family,
        REFUSED,
        [
            ("5,000 digits", spelled(digits)),
            ("5,000 digits below zero", spelled("-" + digits)),
            ("5,000 digits before and after a point", spelled(f"{digits}.{digits}")),
            ("an exponent of 5,000 digits", spelled(f"1e{digits}")),
        ],
    )
    small = ("-0", "-0.0", "5e-324", "1e-999", "1e-00001", "0." + "1" * 5000)
    yield from each(family, TAKEN, [(text[:10], spelled(text)) for text in small])


def nesting() -> Iterator[Hostile]:
    """What recursive parsers end by."""
    deep, family = 200_000, "nesting"
    arrays, objects = b"[" * deep, b'{"a":' * deep
    yield from each(
        family,
        BROKEN | LARGE,
        [
            ("arrays", arrays + b"]" * deep),
            ("arrays without an end", arrays),
            ("objects", objects + b"1" + b"}" * deep),
            ("objects without an end", objects),
            ("in a field", spelled(arrays + b"]" * deep)),
            ("in instances", b'{"instances":' + arrays + b"]" * deep + b"}"),
            ("both", b'[{"a":' * 100_000),
        ],
    )
    yield from each(family, REFUSED, [("shallow but many", b"[" + b"[]," * deep + b"[]]")])


def encodings() -> Iterator[Hostile]:
    """Texts that are no UTF-8, or none that anyone should write."""
    family, text = "encodings", quoted("").decode()
    codecs = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
    yield from each(family, BROKEN, [(codec, text.encode(codec)) for codec in codecs])
    yield from each(family, BROKEN, [("a byte order mark", b"\xef\xbb\xbf" + text.encode())])
    raw = (
        ("latin-1", b"\xe9"),
        ("bytes that are none", b"\xff\xfe\xfd"),
        ("an overlong slash", b"\xc0\xaf"),
        ("an overlong zero", b"\xc0\x80"),
        ("a raw surrogate", b"\xed\xa0\x80"),
        ("a raw pair of surrogates", b"\xed\xa0\xbd\xed\xb8\x80"),
        ("beyond the last character", b"\xf4\x90\x80\x80"),
        ("a character cut short", b"\xe2\x82"),
        ("a raw zero", b"\x00"),
        ("a raw line feed", b"\n"),
        ("a raw escape", b"\x1b[31m"),
    )
    yield from each(family, BROKEN, [(name, quoted(data)) for name, data in raw])
    escapes = (
        ("a lone high surrogate", r"\ud800"),
        ("a lone low surrogate", r"\udc00"),
        ("surrogates the wrong way round", r"\udc00\ud800"),
        ("an escape that is none", r"\x41"),
        ("half an escape", r"\u12"),
    )
    yield from each(family, BROKEN, [(name, quoted(escape)) for name, escape in escapes])
    yield from each(family, BROKEN, [(f"{name} in a name", f'{{"{escape}": 1}}') for name, escape in escapes])
    legal = (("an escaped zero", r"\u0000"), ("a noncharacter", r"\uffff"), ("right to left", r"\u202e"))
    yield from each(family, WRONG, [(name, quoted(escape)) for name, escape in legal])


def repeated() -> Iterator[Hostile]:
    """The same key twice, which every parser settles in its own way."""
    whole = json.dumps(IRIS_RECORD)[1:-1]
    yield from each(
        "duplicate keys",
        WRONG,
        [
            ("two values", f'{{{whole}, "petal_width": 0.3}}'),
            ("the same value", f'{{{whole}, "petal_width": 0.2}}'),
            ("one escaped", f'{{{whole}, "petal\\u005fwidth": 0.2}}'),
            ("within instances", f'{{"instances": [{{{whole}, "petal_width": 0.3}}]}}'),
            ("instances twice", f'{{"instances": [{{{whole}}}], "instances": [{{{whole}}}]}}'),
            ("ten thousand times", "{" + '"petal_width": 1,' * 10_000 + whole + "}"),
        ],
    )
