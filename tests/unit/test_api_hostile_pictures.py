"""What becomes of files that are not what they seem, at the API: a 4xx that says why, or the right answer."""

from __future__ import annotations

import io
import json
from base64 import b64encode
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lambdas.api.app import create_app
from lambdas.api.shapes import Problem
from perennial.images.decode import decode
from perennial.images.pixels import framed
from perennial.settings import Settings
from tests.support.events import Reply, caller
from tests.support.hostile_pictures import (
    HTML_GIF,
    SVG,
    animation,
    apng,
    bomb_png,
    rle_bmp,
    scans_jpeg,
    webp_claiming,
)
from tests.support.models import promote
from tests.support.picture_models import BuiltPictures, answer, build_pictures
from tests.support.pictures import blotches, pet_bytes, picture_bytes
from tests.support.stores import Bucket

PREDICT = "/models/pets/predict"
PNG = pet_bytes(1)
JPEG = pet_bytes(1, format="JPEG", size=(200, 150))


@pytest.fixture(scope="module")
def built() -> BuiltPictures:
    return build_pictures()


@pytest.fixture(scope="module")
def call(built: BuiltPictures) -> Any:
    bucket = Bucket()
    promote(bucket.writer, built)
    return caller(create_app(Settings(bucket="bucket"), bucket.store))


def upload(call: Any, picture: bytes, kind: str = "application/octet-stream") -> Reply:
    found: Reply = call("POST", PREDICT, picture, headers={"content-type": kind}, encode=True)
    return found


def sixteen_bit() -> bytes:
    return picture_bytes(Image.fromarray(blotches(1)[..., 0].astype(np.uint16) * 257))


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return picture_bytes(blotches(1), exif=exif)


REFUSED = {
    "a bomb of 81 MP in 10 KB": (bomb_png(9_000, 9_000), 413, "picture-too-large"),
    "a bomb of 40,020,000 pixels": (bomb_png(20_000, 2_001), 413, "picture-too-large"),
    "a WebP that claims a huge canvas": (webp_claiming(16_384, 16_384), 413, "picture-too-large"),
    "SVG": (SVG, 415, "unsupported-picture"),
    "SVG after a byte order mark": (b"\xef\xbb\xbf\n<svg/>", 415, "unsupported-picture"),
    "HTML": (b"<!doctype html><script>alert(1)</script>", 415, "unsupported-picture"),
    "HTML that is a GIF too": (HTML_GIF, 422, "invalid-picture"),
    "SVG behind a PNG's beginning": (PNG[:8] + SVG, 422, "invalid-picture"),
    "a zip": (b"PK\x03\x04" + PNG, 415, "unsupported-picture"),
    "a PDF": (b"%PDF-1.7\n", 415, "unsupported-picture"),
    "HEIC": (b"\0\0\0\x18ftypheic" + bytes(40), 415, "unsupported-picture"),
    "AVIF": (b"\0\0\0\x18ftypavif" + bytes(40), 415, "unsupported-picture"),
    "PostScript": (b"%!PS-Adobe-3.0 EPSF-3.0\n", 415, "unsupported-picture"),
    "a JPEG that is cut short": (JPEG[: len(JPEG) // 2], 422, "invalid-picture"),
    "a PNG that is cut short": (PNG[: len(PNG) // 2], 422, "invalid-picture"),
    "a beginning alone": (JPEG[:4], 422, "invalid-picture"),
    "nothing": (b"", 422, "invalid-picture"),
    "noise": (b"\x07" * 5_000, 415, "unsupported-picture"),
    "an animated GIF": (animation("GIF"), 415, "unsupported-picture"),
    "an animated WebP": (animation("WEBP"), 415, "unsupported-picture"),
    "an animated PNG": (apng(), 415, "unsupported-picture"),
    "a document of many pages": (animation("TIFF"), 415, "unsupported-picture"),
    "a JPEG of very many scans": (scans_jpeg(1_000), 415, "unsupported-picture"),
    "a compressed BMP": (rle_bmp(), 415, "unsupported-picture"),
    "one pixel": (picture_bytes("red", size=(1, 1)), 422, "invalid-picture"),
}
READ = {
    "a wrong extension and type": JPEG,
    "sixteen bits": sixteen_bit(),
    "CMYK": picture_bytes(blotches(1), "JPEG", mode="CMYK"),
    "a palette": picture_bytes(blotches(1), mode="P"),
    "a GIF": picture_bytes(blotches(1), "GIF", mode="P"),
    "alpha": picture_bytes(blotches(1), mode="RGBA"),
    "grey and alpha": picture_bytes(blotches(1), mode="LA"),
    "one bit": picture_bytes(blotches(1), mode="1"),
    "a progressive JPEG": picture_bytes(blotches(1), "JPEG", progressive=True),
    "WebP": pet_bytes(1, format="WEBP"),
    "BMP": pet_bytes(1, format="BMP"),
    "TIFF": pet_bytes(1, format="TIFF"),
    "a picture on its side": turned(6),
    "a picture before a zip": PNG + b"PK\x03\x04" + bytes(100),
    "a picture before HTML": JPEG + b"<script>alert(1)</script>",
}


@pytest.mark.parametrize("case", REFUSED)
def test_it_is_refused(call: Any, case: str) -> None:
    picture, status, kind = REFUSED[case]
    found = upload(call, picture, "image/png")
    assert (found.status, found.headers["content-type"]) == (status, "application/problem+json"), found.body
    problem = Problem.model_validate_json(found.body)
    assert problem.type == f"urn:perennial:problem:{kind}"
    [error] = problem.errors or []
    assert error.field == "image" and error.reason.startswith("The picture ")
    assert "alert" not in found.body and "0x" not in found.body and "Traceback" not in found.body


@pytest.mark.parametrize("case", READ)
def test_it_is_read_as_anywhere_else(call: Any, built: BuiltPictures, case: str) -> None:
    picture = READ[case]
    expected = answer(built, framed(decode(picture), built.frame))
    for kind in ("image/svg+xml", "application/octet-stream"):  # what it is called plays no part
        found = upload(call, picture, kind)
        assert found.status == 200, found.body
        assert list(found.json["probabilities"].values()) == pytest.approx(expected.tolist(), abs=1e-12)


def test_a_picture_on_its_side_is_answered_as_the_upright_one(call: Any) -> None:
    upright = io.BytesIO()
    Image.fromarray(np.rot90(blotches(1), -1)).save(upright, "PNG")
    given = upload(call, turned(6)).json["probabilities"]
    assert given == upload(call, upright.getvalue()).json["probabilities"]


def test_the_same_refusals_come_of_every_way_to_send_one(call: Any) -> None:
    body = json.dumps({"image": b64encode(SVG).decode()})
    assert call("POST", PREDICT, body).status == 415
    form = b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\n\r\n' + SVG + b"\r\n--b--\r\n"
    headers = {"content-type": "multipart/form-data; boundary=b"}
    assert call("POST", PREDICT, form, headers=headers, encode=True).status == 415


def test_many_small_bombs_are_too_large_together(call: Any) -> None:
    """Sixteen pictures of forty million pixels in 100 KB would take minutes, and each of them may be asked for."""
    bomb = b64encode(bomb_png(7_000, 7_000 // 2)).decode()
    found = call("POST", PREDICT, json.dumps({"instances": [{"image": bomb}] * 2}))
    assert (found.status, found.json["errors"][0]["field"]) == (413, "instances")
