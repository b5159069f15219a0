"""Public keys as they stand in the configuration: read strictly, or refused with the variable's name."""

from __future__ import annotations

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from perennial.errors import SettingsError
from perennial.settings import Settings
from perennial.store_opening import open_store
from perennial.trust import MOST_KEYS, PublicKey, TrustedKeys
from tests.support.signing import signer

SPKI = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
KEY = PublicKey.from_der(ec.derive_private_key(7, ec.SECP256R1()).public_key().public_bytes(*SPKI))  # names tests
ENV = {"PERENNIAL_BUCKET": "data", "AWS_ENDPOINT_URL": "http://127.0.0.1:9"}


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 2**250))
def test_any_key_is_written_and_read_as_openssl_has_it(secret: int) -> None:
    public = ec.derive_private_key(secret, ec.SECP256R1()).public_key()
    key = PublicKey.from_der(public.public_bytes(*SPKI))
    point = public.public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    assert key.text == base64.urlsafe_b64encode(point).decode().rstrip("=")
    assert PublicKey.parse(key.text) == key


@settings(max_examples=200, deadline=None)
@given(st.integers(0, len(KEY.text) - 1), st.characters(max_codepoint=127))
def test_an_altered_key_is_another_one_or_none(at: int, character: str) -> None:
    text = KEY.text[:at] + character + KEY.text[at + 1 :]
    try:
        found = PublicKey.parse(text)
    except ValueError:
        return
    assert found.text == text
    assert (found == KEY) == (text == KEY.text)


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP256K1(), ec.BrainpoolP256R1()])
def test_a_key_of_another_curve_is_none(curve: ec.EllipticCurve) -> None:
    with pytest.raises(ValueError, match="P-256"):
        PublicKey.from_der(ec.generate_private_key(curve).public_key().public_bytes(*SPKI))


def test_a_point_beside_the_curve_is_none() -> None:
    data = bytearray(signer().private.public_key().public_bytes(*SPKI))
    data[-1] ^= 1
    with pytest.raises(ValueError, match="no point"):
        PublicKey.from_der(bytes(data))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "it is empty"), (" ", "it is empty"), ("none", "key 1: it is no compressed point"),
        (f"{KEY.text},", "key 2"), (f"{KEY.text},{KEY.text}", "names a key twice"), (KEY.text + "=", "key 1"),
        (f"Unsigned,{KEY.text}", "key 1"), (",".join([KEY.text] * (MOST_KEYS + 1)), f"of at most {MOST_KEYS}"),
        ("A" + "_" * 43, "key 1: it is no"), ("é" * 44, "key 1: it is no base64url"),
    ],
)  # fmt: skip
def test_malformed_keys_are_refused_by_the_name_of_their_variable(text: str, said: str) -> None:
    with pytest.raises(SettingsError, match=f"^PERENNIAL_TRUSTED_KEYS: .*{said}"):
        Settings.load(ENV | {"PERENNIAL_TRUSTED_KEYS": text})


def test_a_store_trusts_whom_its_settings_name() -> None:
    both = TrustedKeys((KEY, signer("other").public_key()))
    for given_keys, trust in ((both.text, both), (f" {KEY.text} ", TrustedKeys((KEY,))), ("unsigned", None)):
        found = Settings.load(ENV | {"PERENNIAL_TRUSTED_KEYS": given_keys})
        assert found.trust == open_store(found).trust == trust
    assert open_store(Settings.load(ENV)).trust is None


def test_a_dozen_keys_leave_most_of_the_environment_of_a_function() -> None:
    text = TrustedKeys(tuple(signer(str(n)).public_key() for n in range(12))).text
    assert len(text) < 600
    assert Settings.load(ENV | {"PERENNIAL_TRUSTED_KEYS": text}).exports()["PERENNIAL_TRUSTED_KEYS"] == text
