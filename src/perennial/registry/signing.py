"""Detached signatures of versions: ECDSA over P-256 and SHA-256 of a statement that names model, version and manifest.

A signature is an object of its own beside the manifest, one for each key, so that keys can change while versions stay.
What is checked against is never stored beside the models: see :mod:`perennial.trust`. Only public values are handled
here, so the checks need no constant time; those who sign use other libraries.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from dataclasses import dataclass
from typing import Literal, Protocol

from perennial import keys
from perennial.canonical import Keyed, canonical
from perennial.errors import AlreadyExistsError, ConflictError, IntegrityError, NotFoundError, SignatureRefused
from perennial.registry.manifest import MOST_BYTES, model_name, version_of
from perennial.store import Store
from perennial.store_objects import Blob
from perennial.trust import PublicKey, TrustedKeys

ALGORITHM: Literal["ECDSA_SHA_256"] = "ECDSA_SHA_256"
KIND = "perennial.model-version.v1"
MAX_BYTES = 1024
"""What no object that holds a signature exceeds."""
_LONGEST_DER = 72


class Signature(Keyed):
    """One key's signature of one version: DER, in base64."""

    key_id: str
    algorithm: Literal["ECDSA_SHA_256"] = ALGORITHM
    signature: str


class Signer(Protocol):
    """Signs with a private key that it may be the only one to know."""

    def public_key(self) -> PublicKey:
        """The key that its signatures are checked with."""
        ...

    def sign(self, statement: bytes) -> bytes:
        """A DER signature of at most 4,096 bytes, by ECDSA with SHA-256."""
        ...


def statement(model: str, version: str, manifest: bytes) -> bytes:
    """What is signed for a version whose manifest has these bytes: canonical JSON of at most 300 bytes.

    It says what it is, so that a signature over it can mean nothing else.
    """
    digest = hashlib.sha256(manifest).hexdigest()
    return canonical({"type": KIND, "model": model, "version": version, "manifest_sha256": digest})


@dataclass(frozen=True)
class Found:
    """What lies where the signature of a version by ``key`` belongs."""

    key: PublicKey
    data: bytes


def find_signature(store: Store, trusted: TrustedKeys, model: str, version: str) -> Found | None:
    """The first signature of a version that bears the name of a trusted key, unchecked; None where there is none."""
    for key in trusted.keys:
        found = _lying(store, keys.version_signature(model, version, key.id))
        if found is not None:
            return Found(key, found.data)
    return None


def check_signature(found: Found | None, trusted: TrustedKeys, model: str, version: str, manifest: bytes) -> None:
    """Whether a version may be run, by the signature found of it; nothing of the manifest is parsed for that.

    Raises:
        SignatureRefused: there is none, or it is not one of this manifest by that key.
    """
    if found is not None and verifies(found.key, statement(model, version, manifest), found.data):
        return
    command = f"`perennial keys sign {model} {version}`"
    if found is None:
        what = f"bears no signature by a key that is trusted here ({', '.join(key.id for key in trusted.keys)})"
        remedy = f"Sign it if it is yours: {command}."
    else:
        what = f"bears a false signature by the key {found.key.id}"
        remedy = f"Find out who wrote it; if the version is yours, {command} puts a true one in its place."
    raise SignatureRefused(f"Version {version} of {model} {what}.", remedy=remedy)


def verifies(key: PublicKey, said: bytes, stored: bytes) -> bool:
    """Whether the stored bytes are a signature of ``said`` by ``key``, in the one form that we write."""
    if len(stored) > MAX_BYTES:
        return False
    try:
        signature = Signature.from_bytes(stored, "signature")
        der = base64.b64decode(signature.signature, validate=True)
    except (IntegrityError, ValueError, binascii.Error):
        return False
    if signature.to_bytes() != stored or base64.b64encode(der).decode() != signature.signature:
        return False
    return signature.key_id == key.id and is_signature(key, said, der)


def load_verifier() -> None:
    """Import what checks signatures, so that it need not be waited for later."""
    import ecdsa.util  # noqa: F401 - for its effect


def is_signature(key: PublicKey, said: bytes, der: bytes) -> bool:
    """Whether ``der`` is a strictly encoded ECDSA signature of ``said`` by ``key`` (FIPS 186-5, 6.4.2)."""
    from ecdsa.der import UnexpectedDER
    from ecdsa.ecdsa import Public_key, curve_256, generator_256
    from ecdsa.ecdsa import Signature as Pair
    from ecdsa.ellipticcurve import PointJacobi
    from ecdsa.util import sigdecode_der, sigencode_der

    order = generator_256.order()
    try:
        if len(der) > _LONGEST_DER:
            return False
        r, s = sigdecode_der(der, order)
        if not (0 < r < order and 0 < s < order) or sigencode_der(r, s, order) != der:
            return False
    except (UnexpectedDER, ValueError, IndexError):
        return False
    # Not the library's own generator, which makes a table of its multiples at first use: no single check is worth that.
    generator = PointJacobi(curve_256, generator_256.x(), generator_256.y(), 1, order)
    public = Public_key(generator, PointJacobi(curve_256, key.x, key.y, 1, order), verify=False)
    return bool(public.verifies(int.from_bytes(hashlib.sha256(said).digest(), "big"), Pair(r, s)))


def sign_version(store: Store, signer: Signer, model: str, version: str) -> Signature:
    """Sign a published version. Repeating it finds the signature that is there; a false one gives way to it.

    Raises:
        NotFoundError: there is no such version.
        IntegrityError: its manifest does not match its name, or somebody else writes in the signature's place.
    """
    found = store.find(keys.version_manifest(model_name(model), keys.segment(version)), most=MOST_BYTES)
    if found is None:
        raise NotFoundError(
            f"{model} has no version {version}.", remedy=f"`perennial versions {model}` lists what there is."
        )
    if version_of(found.data) != version:
        raise IntegrityError(f"The manifest of version {version} does not match its name.")
    key, said = signer.public_key(), statement(model, version, found.data)
    place = keys.version_signature(model, version, key.id)
    there = _lying(store, place)
    if there is None or not verifies(key, said, there.data):
        there = _written(store, place, there, _signed(signer, key, said).to_bytes())
    if not verifies(key, said, there.data):
        raise IntegrityError(
            f"{place} is no signature by that key.", remedy="Find out who writes there, then sign again."
        )
    return Signature.from_bytes(there.data, place)


def untrusted(store: Store, key_id: str) -> str:
    """What to add where a version was signed with a key that counts for nothing here; else nothing."""
    vain = store.trust is not None and not store.trust.names(key_id)
    return ", which PERENNIAL_TRUSTED_KEYS does not name: it cannot be promoted by that" if vain else ""


def _signed(signer: Signer, key: PublicKey, said: bytes) -> Signature:
    der = signer.sign(said)
    if not is_signature(key, said, der):
        raise IntegrityError(f"What the key {key.id} gave is no ECDSA signature over P-256.")
    return Signature(key_id=key.id, signature=base64.b64encode(der).decode())


def _written(store: Store, place: str, there: Blob | None, data: bytes) -> Blob:
    """What lies in a place after ``data`` was written over what was there: that, or what another wrote meanwhile."""
    try:
        return Blob(data, store.put_new(place, data) if there is None else store.put_if_match(place, data, there.etag))
    except (AlreadyExistsError, ConflictError):  # the same, signed elsewhere: each signature has its own chance
        return _lying(store, place) or Blob(b"", "")


def _lying(store: Store, place: str) -> Blob | None:
    """What lies where a signature belongs; of what is too large for one, none of its bytes."""
    try:
        return store.find(place, most=MAX_BYTES)
    except IntegrityError:
        return Blob(b"", store.head(place).etag)
