"""Whose signatures count: the public keys that the deployment names, and nothing that is stored beside the models.

A key is a point of NIST's curve P-256, written as its compressed form (SEC 1, 2.3.3) in base64url without padding: 44
characters, of which a Lambda's 4 KB of environment hold dozens.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass

UNSIGNED = "unsigned"
"""What stands in place of keys where versions need not be signed."""
MOST_KEYS = 32
ID_LENGTH = 16
_P = 2**256 - 2**224 + 2**192 + 2**96 - 1
_B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
_COMPRESSED = 33
_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")  # of an uncompressed key of P-256, DER


@dataclass(frozen=True)
class PublicKey:
    """A point of P-256 other than the one at infinity."""

    x: int
    y: int

    @classmethod
    def parse(cls, text: str) -> PublicKey:
        """Read a key as ``text`` gives it. Raises ValueError."""
        try:
            data = base64.b64decode(text + "=" * (-len(text) % 4), b"-_", validate=True)
        except (ValueError, binascii.Error):
            raise ValueError("it is no base64url") from None
        if len(data) != _COMPRESSED or data[0] not in (2, 3):
            raise ValueError("it is no compressed point of P-256")
        x = int.from_bytes(data[1:], "big")
        square = (x * x * x - 3 * x + _B) % _P
        y = pow(square, (_P + 1) // 4, _P)
        if x >= _P or y * y % _P != square:
            raise ValueError("it is no point of P-256")
        key = cls(x, y if y % 2 == data[0] % 2 else _P - y)
        if key.text != text:
            raise ValueError("it is not written as `perennial keys show` writes it")
        return key

    @classmethod
    def from_der(cls, data: bytes) -> PublicKey:
        """Read a SubjectPublicKeyInfo, as KMS gives it. Raises ValueError for any key but one of P-256."""
        if len(data) != len(_HEAD) + 64 or not data.startswith(_HEAD):
            raise ValueError("it is no public key of the curve P-256")
        x, y = (int.from_bytes(part, "big") for part in (data[-64:-32], data[-32:]))
        if x >= _P or y >= _P or (y * y - x * x * x + 3 * x - _B) % _P:
            raise ValueError("it is no point of P-256")
        return cls(x, y)

    @property
    def text(self) -> str:
        """The compressed point in base64url, without padding."""
        return base64.urlsafe_b64encode(self._point).rstrip(b"=").decode()

    @property
    def id(self) -> str:
        """What the key is called: the first hex digits of the SHA-256 of its compressed point."""
        return hashlib.sha256(self._point).hexdigest()[:ID_LENGTH]

    @property
    def _point(self) -> bytes:
        return bytes([2 + self.y % 2]) + self.x.to_bytes(32, "big")


@dataclass(frozen=True)
class TrustedKeys:
    """The keys that a version may be signed with, in the order in which their signatures are looked for."""

    keys: tuple[PublicKey, ...]

    @classmethod
    def parse(cls, text: str) -> TrustedKeys | None:
        """Read ``PERENNIAL_TRUSTED_KEYS``: keys with commas between them, or None for the word ``unsigned``.

        Raises:
            ValueError: it is empty, names a key twice or too many of them, or one of them is malformed.
        """
        if text.strip() == UNSIGNED:
            return None
        names = [name.strip() for name in text.split(",")]
        if names == [""]:
            raise ValueError(f"it is empty; name a public key, or say {UNSIGNED!r} where versions need no signature")
        if len(names) > MOST_KEYS:
            raise ValueError(f"it names {len(names)} keys, of at most {MOST_KEYS}")
        keys = []
        for place, name in enumerate(names, start=1):
            try:
                keys.append(PublicKey.parse(name))
            except ValueError as error:
                raise ValueError(f"key {place}: {error}") from None
        if len(set(keys)) < len(keys):
            raise ValueError("it names a key twice")
        return cls(tuple(keys))

    def names(self, key_id: str) -> bool:
        """Whether the key of that id is among them."""
        return any(key.id == key_id for key in self.keys)

    @property
    def text(self) -> str:
        """As it stands in the environment."""
        return ",".join(key.text for key in self.keys)
