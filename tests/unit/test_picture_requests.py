"""Bodies with pictures: forms as clients write and miswrite them, and base64 in all its spellings."""

from __future__ import annotations

import base64
import json
import logging
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perennial.errors import InvalidRecord
from perennial.serving.picture_requests import (
    BYTES,
    FORM,
    JSON,
    MAX_BYTES,
    BrokenForm,
    PictureRequests,
    UnreadablePictures,
    from_base64,
)
from perennial.serving.requests import BrokenJson

REQUESTS = PictureRequests()
TYPE = b"multipart/form-data; boundary=b"
IMAGE = b'Content-Disposition: form-data; name="image"; filename="a.png"'


def form(*parts: tuple[bytes, bytes], end: bytes = b"--b--\r\n") -> bytes:
    """A form of parts, each its headers and its content."""
    return b"".join(b"--b\r\n" + headers + b"\r\n\r\n" + data + b"\r\n" for headers, data in parts) + end


def read(body: bytes, content_type: bytes = TYPE) -> tuple[bytes, ...]:
    return tuple(REQUESTS.read(body, FORM, content_type).pictures)


def refused(body: bytes, content_type: bytes = TYPE) -> dict[str, str]:
    with pytest.raises(InvalidRecord) as caught:
        read(body, content_type)
    assert not isinstance(caught.value, BrokenForm | UnreadablePictures)
    return dict(caught.value.problems)


class TestForms:
    @given(st.binary(max_size=200))
    def test_give_the_bytes_as_they_are(self, data: bytes) -> None:
        data = data.replace(b"\r\n--b", b"")
        assert read(form((IMAGE, data))) == (data,)

    @pytest.mark.parametrize(
        "headers",
        [
            b'content-disposition:form-data;name=image;filename=""',
            IMAGE + b"\r\nContent-Type: text/html",
            IMAGE + b"\r\nContent-Type: image/png; charset=utf-7",
            IMAGE + b"\r\nContent-Transfer-Encoding: BINARY",
            b'Content-Disposition: form-data; name="image"; filename="../../etc/passwd\\"; name=x"',
            b"Content-Disposition: form-data; name=\"image\"; filename*=UTF-8''%2e%2e%2fx; filename=x",
            b'Content-Disposition: form-data; name="image"; filename="' + "日本.png".encode() + b'"',
            b'Content-Disposition: form-data; name="image"\r\nContent-Type: image/jpeg',
            b'Content-Disposition: form-data; name="image"\r\nContent-Type: application/octet-stream',
        ],
    )
    def test_may_call_their_file_as_they_like(self, headers: bytes) -> None:
        assert read(form((headers, b"x"))) == (b"x",)

    @pytest.mark.parametrize("content_type", [b'Multipart/Form-Data; charset=utf-8; Boundary="b"', TYPE + b"; x=y"])
    def test_name_their_boundary_in_several_ways(self, content_type: bytes) -> None:
        assert read(form((IMAGE, b"x")) + b"epilogue", content_type) == (b"x",)

    def test_hold_several_pictures_in_order(self) -> None:
        assert read(form((IMAGE, b"1"), (IMAGE, b"2"), (IMAGE, b""))) == (b"1", b"2", b"")
        assert REQUESTS.read(form((IMAGE, b"1")), FORM, TYPE).single
        assert not REQUESTS.read(form((IMAGE, b"1"), (IMAGE, b"2")), FORM, TYPE).single

    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            (form((IMAGE, b"x")), b"multipart/form-data"),
            (form((IMAGE, b"x")), b"multipart/form-data; boundary="),
            (form((IMAGE, b"x")), b"multipart/form-data; boundary=another"),
            (form((IMAGE, b"x")), b"multipart/form-data; boundary=" + b"b" * 300),
            (form((IMAGE, b"x"), end=b""), TYPE),
            (form((IMAGE, b"x"), end=b"--b"), TYPE),
            (b"", TYPE),
            (b"x" * 1000, TYPE),
            (form((b"Content-Type: image/png", b"x")), TYPE),
            (form((b'Content-Disposition: attachment; name="image"; filename="a"', b"x")), TYPE),
            (form((IMAGE + b"\r\n" + IMAGE, b"x")), TYPE),
            (form((IMAGE + b"\r\nX: " + b"y" * 10_000, b"x")), TYPE),
            (form((IMAGE + b"\r\nX: y" * 50, b"x")), TYPE),
            (form((IMAGE + b"\r\n\0bad: y", b"x")), TYPE),
        ],
    )
    def test_that_are_none_are_broken(self, body: bytes, content_type: bytes) -> None:
        with pytest.raises(BrokenForm) as caught:
            read(body, content_type)
        assert [field for field, _ in caught.value.problems] == ["body"]

    def test_without_the_field(self) -> None:
        other = b'Content-Disposition: form-data; name="file"; filename="a.png"'
        assert refused(form((other, b"x"))) == {"file": "Extra inputs are not permitted", "image": "Field required"}
        assert refused(form((other, b"x"), (IMAGE, b"x"))) == {"file": "Extra inputs are not permitted"}
        assert refused(form(end=b"--b--\r\n")) == {"image": "Field required"}

    @pytest.mark.parametrize(
        ("headers", "says"),
        [
            (b'Content-Disposition: form-data; name="image"', "not text"),
            (b'Content-Disposition: form-data; name="image"\r\nContent-Type: text/plain; charset=utf-8', "not text"),
            (IMAGE + b"\r\nContent-Transfer-Encoding: base64", "content-transfer-encoding"),
            (IMAGE + b"\r\nContent-Transfer-Encoding: Quoted-Printable", "content-transfer-encoding"),
            (IMAGE + b"\r\nContent-Type: multipart/mixed; boundary=c", "Repeat the field"),
        ],
    )
    def test_with_something_else_in_the_field(self, headers: bytes, says: str) -> None:
        assert says in refused(form((headers, b"x")))["image"]

    def test_with_too_many_parts_end_early(self) -> None:
        assert "more than 16 times" in refused(form(*[(IMAGE, b"x")] * 17))["image"]
        other = b'Content-Disposition: form-data; name="x"'
        assert list(refused(form(*[(other, b"")] * 10_000))) == ["x"]

    def test_say_nothing_in_the_log(self, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.DEBUG), pytest.raises(BrokenForm):
            read(form((IMAGE + b"\r\n\0secret: y", b"x")))
        assert not caplog.records

    @given(st.binary(max_size=300))
    def test_of_any_bytes_are_read_or_refused(self, data: bytes) -> None:
        for body in (data, b"--b\r\n" + data, form((IMAGE, b"x"))[:-8] + data):
            with suppress(InvalidRecord):
                read(body)


class TestBase64:
    @given(st.binary(max_size=100), st.sampled_from(["", "data:image/png;base64,", "DATA:;BASE64,"]))
    def test_in_any_spelling(self, data: bytes, head: str) -> None:
        for text in (base64.b64encode(data).decode(), base64.urlsafe_b64encode(data).decode()):
            wrapped = "\r\n ".join(text[i : i + 7] for i in range(0, len(text), 7))
            for spelled in (text, text.rstrip("="), wrapped, f"{text}\n"):
                assert from_base64(head + spelled) == data

    @pytest.mark.parametrize(
        "text",
        ["é", "A", "AAAAA", "AA=A", "%2B%2B", "AA\x00A", "data:image/png,AAAA", "data:AAAA", "http://x/y.png", "=AAA"],
    )
    def test_that_is_none(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"base64"):
            from_base64(text)

    def read(self, value: Any) -> tuple[bytes, ...]:
        return tuple(REQUESTS.read(json.dumps(value).encode(), JSON, b"application/json").pictures)

    def test_in_json(self) -> None:
        assert self.read({"image": "AAAA"}) == (b"\0\0\0",)
        assert self.read({"instances": [{"image": "AAAA"}, {"image": "data:;base64,AQ=="}]}) == (b"\0\0\0", b"\1")

    @pytest.mark.parametrize(
        ("value", "field"),
        [
            ({}, "image"),
            ({"image": None}, "image"),
            ({"image": 7}, "image"),
            ({"image": ["AAAA"]}, "image"),
            ({"image": "?"}, "image"),
            ({"image": "AAAA", "name": "x"}, "name"),
            ({"instances": []}, "instances"),
            ({"instances": [{"image": "AAAA"}] * 17}, "instances"),
            ({"instances": [{"image": "AAAA"}, {"image": "?"}]}, "instances.1.image"),
            ({"instances": [{"image": "AAAA"}], "image": "AAAA"}, "image"),
            ([], "body"),
            ("AAAA", "body"),
        ],
    )
    def test_what_does_not_fit_is_named(self, value: Any, field: str) -> None:
        with pytest.raises(InvalidRecord) as caught:
            self.read(value)
        assert field in [place for place, _ in caught.value.problems]

    def test_a_member_given_twice(self) -> None:
        with pytest.raises(InvalidRecord, match="more than once"):
            REQUESTS.read(b'{"image": "AAAA", "image": "AAAA"}', JSON, b"application/json")

    @pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"image": "\\ud800"}', b"[" * 100_000])
    def test_what_is_no_json(self, body: bytes) -> None:
        with pytest.raises(BrokenJson):
            REQUESTS.read(body, JSON, b"application/json")


def test_bytes_are_counted_before_anything_is_decoded() -> None:
    large = bytes(MAX_BYTES + 1)
    text = base64.b64encode(large)
    for body, kind in (
        (large, BYTES), (form((IMAGE, large)), FORM), (b'{"image": "%s"}' % text, JSON),
        (b'{"instances": [{"image": "%s"}, {"image": "AAAA"}]}' % text[: 4 * (MAX_BYTES // 3)], JSON),
    ):  # fmt: skip
        with pytest.raises(UnreadablePictures) as caught:
            REQUESTS.read(body, kind, TYPE)
        assert caught.value.kind == "large"
    assert len(REQUESTS.read(large[:-1], "image/png", b"image/png").pictures[0]) == MAX_BYTES


def test_the_largest_picture_fits_into_a_body_of_each_kind() -> None:
    picture = bytes(MAX_BYTES)
    for body, kind in (
        (picture, BYTES), (form((IMAGE, picture)), FORM), (b'{"image": "%s"}' % base64.b64encode(picture), JSON),
    ):  # fmt: skip
        assert len(body) <= REQUESTS.limit(kind)
        assert REQUESTS.read(body, kind, TYPE).pictures[0] == picture
        event = body if kind == JSON else base64.b64encode(body)  # API Gateway sends text as it is
        assert len(event) + 100_000 < 6_291_456
