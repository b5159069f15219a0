"""Pictures in a form (``multipart/form-data``, RFC 7578): one field, ``image``, as often as there are pictures."""

from __future__ import annotations

import logging

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from perennial.errors import InvalidRecord
from perennial.records import MAX_TEXT
from perennial.serving.picture_requests import FIELD, MAX_PICTURES, BrokenForm
from perennial.serving.requests import UNKNOWN_KEY

_AS_IT_IS = (b"", b"7bit", b"8bit", b"binary")
_TEXT = b"text/plain"

logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # what is wrong with a form is its sender's to know


class _Form:
    """What a parser tells of a form, part by part."""

    def __init__(self) -> None:
        self.pictures: list[bytes] = []
        self.problems: list[tuple[str, str]] = []
        self.ended = False
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._data = bytearray()
        self._taken = False

    def on_part_begin(self) -> None:
        self._headers, self._data, self._taken = {}, bytearray(), False

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        name = self._name.lower()
        if name in self._headers:
            raise FormParserError("a header is given twice")
        self._headers[name] = self._value.strip()
        self._name = self._value = b""

    def on_headers_finished(self) -> None:
        place, options = parse_options_header(self._headers.get(b"content-disposition"))
        if place != b"form-data" or b"name" not in options:
            raise FormParserError("a part is no field of a form")
        name = options[b"name"].decode("utf-8", "replace")
        problem = self._problem(name, is_file=b"filename" in options)
        if problem is not None:
            self.problems.append((name[:MAX_TEXT] or "body", problem))
        self._taken = problem is None
        if len(self.problems) > MAX_PICTURES:
            raise InvalidRecord(tuple(self.problems))

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._taken:
            self._data += data[start:end]

    def on_part_end(self) -> None:
        if not self._taken:
            return
        self.pictures.append(bytes(self._data))
        if len(self.pictures) > MAX_PICTURES:
            raise InvalidRecord(((FIELD, f"Is given more than {MAX_PICTURES} times; send fewer at once"),))

    def on_end(self) -> None:
        self.ended = True

    def _problem(self, name: str, *, is_file: bool) -> str | None:
        """Why a part is none of the pictures. What a file is called is its sender's own affair."""
        if name != FIELD:
            return UNKNOWN_KEY
        if self._headers.get(b"content-transfer-encoding", b"").lower() not in _AS_IT_IS:
            return "Send the bytes as they are, without content-transfer-encoding"
        kind, _ = parse_options_header(self._headers.get(b"content-type", _TEXT))
        if kind.startswith(b"multipart/"):
            return "Repeat the field instead of putting several files into one part"
        if not is_file and kind == _TEXT:
            return "Input should be a file, not text"
        return None


def read_form(body: bytes, content_type: bytes) -> tuple[bytes, ...]:
    """The pictures of a form, in order.

    Raises:
        BrokenForm: the header has no boundary, the body does not follow it, or is cut short.
        InvalidRecord: a field is missing, unknown, no file, or given too often.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise BrokenForm((("body", "The content-type names no boundary"),))
    form = _Form()
    try:
        MultipartParser(
            boundary,
            {
                "on_part_begin": form.on_part_begin,
                "on_header_field": form.on_header_field,
                "on_header_value": form.on_header_value,
                "on_header_end": form.on_header_end,
                "on_headers_finished": form.on_headers_finished,
                "on_part_data": form.on_part_data,
                "on_part_end": form.on_part_end,
                "on_end": form.on_end,
            },
        ).write(body)
    except FormParserError:
        raise BrokenForm((("body", "Invalid multipart/form-data"),)) from None
    if not form.ended:
        raise BrokenForm((("body", "The form ends before its last boundary"),))
    if not form.pictures and not any(name == FIELD for name, _ in form.problems):
        form.problems.append((FIELD, "Field required"))
    if form.problems:
        raise InvalidRecord(tuple(form.problems))
    return tuple(form.pictures)
