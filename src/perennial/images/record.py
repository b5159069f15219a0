"""One picture as a record: what is stored, captured and watched of it, with its pixels at hand."""

from __future__ import annotations

import hashlib

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from perennial.images.decode import MAX_BYTES, Picture, decode
from perennial.images.describe import describe


class ImageRecord(BaseModel):
    """A picture by the SHA-256 (hex) of its bytes, with its descriptors: what a line of capture holds of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str = Field(pattern=r"^[0-9a-f]{64}$")
    width: int
    height: int
    brightness: float
    contrast: float
    sharpness: float

    _picture: Picture | None = PrivateAttr(default=None)
    _data: bytes = PrivateAttr(default=b"")

    @property
    def picture(self) -> Picture:
        """What was decoded. Raises RuntimeError for a record that was read back from where it was stored."""
        if self._picture is None:
            raise RuntimeError("a stored record of a picture has no pixels; read them by its digest")
        return self._picture

    def without_pixels(self) -> ImageRecord:
        """What is stored of it: the pixels of a large picture take a hundred megabytes."""
        return type(self).model_validate(self.model_dump())

    @property
    def data(self) -> bytes:
        """The bytes as they were sent."""
        return self._data


def read_record(data: bytes, *, max_bytes: int = MAX_BYTES) -> ImageRecord:
    """Decode, name and measure a picture. Raises InvalidPicture."""
    picture = decode(data, max_bytes=max_bytes)
    record = ImageRecord(image=hashlib.sha256(data).hexdigest(), **describe(picture)._asdict())
    record._picture, record._data = picture, data
    return record
