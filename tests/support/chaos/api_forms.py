"""Forms and pictures that nobody's browser sends."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator

from tests.support.chaos.api_corpus import (
    JSON,
    MARK,
    NAME_MARK,
    Hostile,
    encodings,
    nesting,
    numbers,
    repeated,
)  # fmt: skip
from tests.support.chaos.api_texts import codings, content_types, names, shapes, sizes, types
from tests.support.hostile_pictures import HTML_GIF, SVG, apng, bomb_png, rle_bmp, tiles_beyond, webp_claiming
from tests.support.pictures import pet_bytes

FORM = "multipart/form-data; boundary=x"
BYTES = "application/octet-stream"
PICTURE = 'content-disposition: form-data; name="image"; filename="a.png"'


def part(headers: str, data: bytes = b"") -> bytes:
    return f"--x\r\n{headers}\r\n\r\n".encode() + data + b"\r\n"


def forms() -> Iterator[Hostile]:
    """Of a model of pictures. Its statuses are told of that."""
    family, picture = "forms", pet_bytes(1)
    good = part(PICTURE, picture)
    for name, kind in (
        ("no boundary", "multipart/form-data"), ("an empty boundary", "multipart/form-data; boundary="),
        ("another boundary", "multipart/form-data; boundary=y"),
        ("an endless boundary", "multipart/form-data; boundary=" + "x" * 60_000),
        ("a boundary of no letters", "multipart/form-data; boundary=\u00e9\u00e9"),
        ("two boundaries", "multipart/form-data; boundary=y; boundary=z"),
    ):  # fmt: skip
        yield Hostile(family, name, good + b"--x--\r\n", frozenset({400, 422}), content_type=kind, model="pets")
    for name, body in (
        ("empty", b""), ("no end", good), ("only an end", b"--x--\r\n"), ("only a start", b"--x\r\n"),
        ("no part's head", b"--x\r\n\r\n\r\n--x--\r\n"), ("JSON", b'{"image": "m4rk"}'), ("zeros", bytes(100_000)),
        ("boundaries alone", b"--x\r\n" * 100_000), ("a head without an end", b"--x\r\n" + b"a: b\r\n" * 50_000),
        ("a head of 1 MB", part("x-a: " + "a" * 1_000_000, b"") + b"--x--"),
        ("a head that is none", b"--x\r\nno head at all\r\n\r\n\r\n--x--\r\n"),
        ("a head twice", part(f"{PICTURE}\r\n{PICTURE}", picture) + b"--x--\r\n"),
    ):  # fmt: skip
        yield Hostile(family, name, body, frozenset({400, 422}), content_type=FORM, model="pets")
    disposition = "content-disposition: form-data"
    for name, head in (
        ("no name", disposition), ("another name", f'{disposition}; name="{NAME_MARK}"; filename="a"'),
        ("an attachment", 'content-disposition: attachment; name="image"; filename="a"'),
        ("text for a file", f'{disposition}; name="image"'),
        ("base64 in a form", f"{PICTURE}\r\ncontent-transfer-encoding: base64"),
        ("a form within a form", f"{PICTURE}\r\ncontent-type: multipart/mixed; boundary=y"),
        ("a name of 100 KB", f'{disposition}; name="{"n" * 100_000}"; filename="a"'),
        ("a name with a zero", f'{disposition}; name="image\x00"; filename="a"'),
    ):  # fmt: skip
        yield Hostile(
            family, name, part(head, picture) + b"--x--\r\n", frozenset({400, 422}), content_type=FORM, model="pets"
        )
    yield Hostile(
        family,
        "10,000 fields",
        b"".join(part(f'{disposition}; name="f{n}"', b"1") for n in range(10_000)) + b"--x--\r\n",
        frozenset({413, 422}),
        content_type=FORM,
        model="pets",
    )
    yield Hostile(family, "17 pictures", good * 17 + b"--x--\r\n", frozenset({422}), content_type=FORM, model="pets")
    yield Hostile(
        family,
        "a field beside",
        good + part(f'{disposition}; name="{NAME_MARK}"', MARK.encode()) + b"--x--\r\n",
        frozenset({422}),
        content_type=FORM,
        model="pets",
    )
    for file in (
        f"../../../../etc/{MARK}", f"..\\\\..\\\\{MARK}", f"{MARK}.php\x00.png", "con", f"/{MARK}" * 1000,
        f'\\"; name=\\"{MARK}', f"${{{MARK}}}", "",
    ):  # fmt: skip
        head = f'{disposition}; name="image"; filename="{file}"'
        yield Hostile(
            family,
            f"a file {file[:20]!a}",
            part(head, picture) + b"--x--\r\n",
            frozenset({200, 400, 422}),
            content_type=FORM,
            model="pets",
        )


def pictures() -> Iterator[Hostile]:
    """Of a model of pictures: what decoders end by, and what is none."""
    family = "pictures"
    for name, data in (
        ("81 million pixels", bomb_png(9_000, 9_000)), ("2,000,000,000 pixels", bomb_png(50_000, 40_000)),
        ("an animation", apng()), ("SVG with a script", SVG), ("HTML as GIF", HTML_GIF),
        ("tiles beyond its edges", tiles_beyond()), ("a run-length bomb", rle_bmp()),
        ("a WebP that claims", webp_claiming(16_383, 16_383)), ("half a picture", pet_bytes(1)[:300]),
        ("a head alone", pet_bytes(1)[:8]), ("nothing", b""), ("zeros", bytes(1000)), ("text", MARK.encode()),
        ("5 MB of noise", bytes(range(256)) * 20_000),
    ):  # fmt: skip
        for kind in (BYTES, "image/png"):
            yield Hostile(family, f"{name} as {kind}", data, _seen(name), content_type=kind, model="pets")
    for name, value in (
        ("no base64", f"{MARK}!"), ("a third of a letter", "A"),
        ("an address without base64", f"data:image/png,{MARK}"),
        ("an address elsewhere", f"http://127.0.0.1:9/{MARK}"), ("a file", "file:///etc/passwd"),
        ("a path", "../../etc/passwd"), ("text", base64.b64encode(MARK.encode()).decode()),
        ("a bomb", base64.b64encode(bomb_png(9_000, 9_000)).decode()), ("a number", 5), ("null", None),
        ("a list", [MARK]), ("6 MB", "A" * 6_400_000),
    ):  # fmt: skip
        yield Hostile(
            family, f"{name} as base64", json.dumps({"image": value}).encode(), content_type=JSON, model="pets"
        )
    many = {"instances": [{"image": base64.b64encode(pet_bytes(1)).decode()}] * 17}
    yield Hostile(family, "17 of them", json.dumps(many).encode(), frozenset({422}), model="pets")


def _seen(name: str) -> frozenset[int]:
    """An animation's first frame is looked at, and so is what a run-length code leaves out."""
    return frozenset({200, 413, 415, 422}) if name in ("an animation", "a run-length bomb") else frozenset()


def corpus() -> list[Hostile]:
    """Every body there is, made anew: some are of ten megabytes."""
    return [one for family in FAMILIES for one in family()]


FAMILIES = (
    numbers, nesting, encodings, repeated, shapes, sizes, names, types, content_types, codings, forms, pictures,
)  # fmt: skip
