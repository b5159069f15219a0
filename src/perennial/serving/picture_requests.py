"""What a client may send to a model of pictures: one or several, as they are, in a form, or as base64 in JSON.

Nothing of Pillow is imported before there is a picture: a server of tables never pays for it.
"""

from __future__ import annotations

import binascii
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, StrictStr

from perennial.errors import InvalidPicture, InvalidRecord
from perennial.serving.requests import INSTANCES, RequestSchema

if TYPE_CHECKING:
    from perennial.images.record import ImageRecord
    from perennial.serving.predictor import Pixels, Predictor

FIELD = "image"
JSON = "application/json"
FORM = "multipart/form-data"
BYTES = "application/octet-stream"
MAX_PICTURES = 16
MAX_BYTES = 4_500_000
"""Of all pictures of one request: as base64, with what is around it, they just fit into an event of AWS Lambda."""
MAX_PIXELS = 48_000_000
"""Of all pictures of one request: what is small in bytes may take long to decode."""
ENVELOPE = 65_536
"""How many bytes JSON or a form may have around pictures."""

_STANDARD = bytes.maketrans(b"-_", b"+/")
_SPACES = b" \t\r\n"


class Kept(NamedTuple):
    """What is left of a picture once it was looked at: its record, and what the model is given; and what another is."""

    record: ImageRecord
    pixels: Pixels
    others: Pixels | None = None


@dataclass(frozen=True)
class Sent:
    """The bytes of each picture in the order they were sent; ``single`` where it came without ``instances``."""

    pictures: Sequence[bytes]
    single: bool

    def place(self, number: int) -> str:
        """How a client is told which picture is meant."""
        return FIELD if self.single else f"{INSTANCES}.{number}.{FIELD}"


class BrokenForm(InvalidRecord):
    """The body is no form at all, or ends before its last boundary."""


class UnreadablePictures(InvalidRecord):
    """Bytes that are no picture, each with its place and reason. ``kind`` is the first one's."""

    def __init__(self, problems: tuple[tuple[str, str], ...], kind: Literal["large", "unsupported", "damaged"]) -> None:
        super().__init__(problems)
        self.kind = kind


class _Base64(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    image: StrictStr


@dataclass(frozen=True)
class _Records:
    """What :class:`RequestSchema` asks of a schema."""

    record_type: type[BaseModel] = _Base64
    features: Collection[str] = (FIELD,)


class PictureRequests:
    """Reads what is sent to one model of pictures. Immutable."""

    def __init__(self) -> None:
        self._json = RequestSchema(_Records(), most=MAX_PICTURES)

    def takes(self, media_type: str) -> bool:
        """Whether a body of that type, in lower case and without parameters, is read."""
        return media_type in (JSON, FORM, BYTES) or media_type.startswith("image/")

    def limit(self, media_type: str) -> int:
        """How many bytes a body of that type may have."""
        if media_type == JSON:
            return MAX_BYTES * 4 // 3 + ENVELOPE
        return MAX_BYTES + ENVELOPE if media_type == FORM else MAX_BYTES

    def read(self, body: bytes, media_type: str, content_type: bytes) -> Sent:
        """The pictures of a body, not yet decoded. ``content_type`` is the whole header.

        Raises:
            BrokenJson: it is not JSON.
            BrokenForm: it is no form as its boundary says, or is cut short.
            InvalidRecord: a member is missing, unknown, given twice, or is no base64.
            UnreadablePictures: they have too many bytes.
        """
        if media_type == JSON:
            sent = self._from_json(body)
        elif media_type == FORM:
            from perennial.serving.picture_forms import read_form

            pictures = read_form(body, content_type)
            sent = Sent(pictures, single=len(pictures) == 1)
        else:
            sent = Sent((body,), single=True)
        if sum(map(len, sent.pictures)) > MAX_BYTES:
            raise too_large(sent.place(0))
        return sent

    def _from_json(self, body: bytes) -> Sent:
        batch = self._json.read(body)
        texts: list[str] = [record.image for record in batch.records]  # type: ignore[attr-defined]  # of _Base64
        empty = Sent((), batch.single)
        if sum(map(len, texts)) * 3 // 4 > MAX_BYTES + ENVELOPE:
            raise too_large(empty.place(0))
        pictures: list[bytes] = []
        problems: list[tuple[str, str]] = []
        for number, text in enumerate(texts):
            try:
                pictures.append(from_base64(text))
            except ValueError as error:
                problems.append((empty.place(number), str(error)))
        if problems:
            raise InvalidRecord(tuple(problems))
        return Sent(pictures, batch.single)


def look_at(sent: Sent, predictor: Predictor, other: Predictor | None = None) -> list[Kept]:
    """Decode, name, measure and frame each picture, for ``other`` too; of one at a time the whole is in memory.

    Raises:
        UnreadablePictures: one is no picture that is read, or they have too many pixels together.
    """
    from perennial.images.decode import claimed_pixels
    from perennial.images.record import read_record

    if len(sent.pictures) > 1 and sum(map(claimed_pixels, sent.pictures)) > MAX_PIXELS:
        reason = f"More than {MAX_PIXELS // 1_000_000} million pixels together; send fewer at once"
        raise UnreadablePictures(((INSTANCES, reason),), "large")
    kept: list[Kept] = []
    refused: list[tuple[str, InvalidPicture]] = []
    for number, data in enumerate(sent.pictures):
        try:
            record = read_record(data)
        except InvalidPicture as error:
            refused.append((sent.place(number), error))
            continue
        others = None if other is None else other.frame(record)
        kept.append(Kept(record.without_pixels(), predictor.frame(record), others))
    if refused:
        problems = tuple((place, str(error)) for place, error in refused)
        raise UnreadablePictures(problems, refused[0][1].kind)
    return kept


def from_base64(text: str) -> bytes:
    """What base64 stands for, in either alphabet, with or without padding and line breaks, or as a ``data:`` address.

    Raises:
        ValueError: it is none.
    """
    if text[:5].lower() == "data:":
        head, _, text = text.partition(",")
        if not head.lower().endswith(";base64"):
            raise ValueError("A data: address has to say ;base64 before its comma")
    try:
        letters = text.encode("ascii").translate(_STANDARD, _SPACES).rstrip(b"=")
        return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4), strict_mode=True)
    except ValueError:  # binascii.Error too
        raise ValueError("Input should be base64") from None


def too_large(place: str) -> UnreadablePictures:
    """More bytes than one request may bring."""
    reason = f"More than {MAX_BYTES:,} bytes; send a smaller picture, or fewer at once"
    return UnreadablePictures(((place, reason),), "large")


def record_schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of one record: what draws the form, and stands in the OpenAPI document."""
    picture = {"type": "string", "contentEncoding": "base64", "contentMediaType": "image/*", "title": "Picture"}
    return {"type": "object", "properties": {FIELD: picture}, "required": [FIELD], "additionalProperties": False}
