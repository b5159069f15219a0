"""Signatures of versions: what is accepted, everything that is not, and that retries and rotation work."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from hypothesis import example, given, settings
from hypothesis import strategies as st
from obstore.store import MemoryStore

from perennial import keys
from perennial.canonical import canonical
from perennial.errors import IntegrityError, NotFoundError, PromotionRefused, SignatureRefused
from perennial.jobs.resigning import sign_serving, signatures
from perennial.jobs.signers import FileSigner
from perennial.registry.manifest import MODEL_FILE
from perennial.registry.registry import Registry
from perennial.registry.signing import (
    Found,
    Signature,
    check_signature,
    is_signature,
    sign_version,
    statement,
    verifies,
)
from perennial.registry.verify import look_up, read_manifest
from perennial.serving.load import load
from perennial.store import Store
from tests.support.models import NOW, Built, build
from tests.support.seam import Seam
from tests.support.signing import signer, trusting

OURS, OTHER = signer(), signer("other")
KEY = OURS.public_key()
BUILT = build()
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
SAID = statement("iris", BUILT.version, BUILT.manifest.to_bytes())
DER = OURS.sign(SAID)
STORED = Signature(key_id=KEY.id, signature=base64.b64encode(DER).decode()).to_bytes()


def bucket(*signers: object, raw: MemoryStore | None = None) -> Store:
    trust = trusting(*signers) if signers else None  # type: ignore[arg-type]
    return Store(raw or MemoryStore(), trust=trust)


def published(store: Store, built: Built = BUILT) -> str:
    return Registry(store).publish(built.manifest, {MODEL_FILE: built.onnx})


def promoted(store: Store, version: str) -> None:
    Registry(store).promote("iris", version, op_id=f"p-{version}", actor="a", reason="", now=NOW)


class TestOneSignature:
    def test_the_statement_is_canonical_and_says_what_it_is(self) -> None:
        content = json.loads(SAID)
        assert content["type"] == "perennial.model-version.v1"
        assert set(content) == {"type", "model", "version", "manifest_sha256"}
        assert canonical(content) == SAID
        assert len(statement("m" * 40, "0" * 16, b"")) <= 4096

    @settings(max_examples=25, deadline=None)
    @given(st.binary(max_size=99), st.integers(1, 2**255))
    def test_agrees_with_openssl(self, said: bytes, secret: int) -> None:
        found = FileSigner(ec.derive_private_key(secret, ec.SECP256R1()))
        assert is_signature(found.public_key(), said, found.sign(said))
        assert not is_signature(KEY, said, found.sign(said)) or found.public_key() == KEY

    @pytest.mark.parametrize("what", ["model", "version", "manifest"])
    def test_is_of_one_model_version_and_manifest(self, what: str) -> None:
        values = {"model": "iris", "version": BUILT.version, "manifest": BUILT.manifest.to_bytes()}
        assert is_signature(KEY, statement(**values), DER)  # type: ignore[arg-type]
        values[what] = values[what] + (b"x" if what == "manifest" else "x")  # type: ignore[operator]
        assert not is_signature(KEY, statement(**values), DER)  # type: ignore[arg-type]

    @settings(max_examples=250, deadline=None)
    @given(st.integers(0, len(STORED) - 1), st.integers(1, 255))
    def test_every_altered_byte_of_it_is_refused(self, at: int, flip: int) -> None:
        data = bytearray(STORED)
        data[at] ^= flip
        assert not verifies(KEY, SAID, bytes(data))

    @settings(max_examples=100, deadline=None)
    @given(st.integers(0, 10**6), st.integers(1, 255))
    def test_every_altered_byte_of_a_manifest_is_refused(self, at: int, flip: int) -> None:
        manifest = bytearray(BUILT.manifest.to_bytes())
        manifest[at % len(manifest)] ^= flip
        with pytest.raises(SignatureRefused, match="false signature"):
            check_signature(Found(KEY, STORED), trusting(OURS), "iris", BUILT.version, bytes(manifest))

    @settings(max_examples=300, deadline=None)
    @given(st.binary(max_size=80))
    @example(b"")
    @example(b"\x30\x06\x02\x01\x00\x02\x01\x00")
    @example(encode_dss_signature(ORDER, 1))
    @example(encode_dss_signature(1, ORDER))
    @example(encode_dss_signature(1, 1))
    @example(encode_dss_signature(2**300, 2**300))
    def test_garbage_is_none_and_breaks_nothing(self, der: bytes) -> None:
        assert not is_signature(KEY, SAID, der)

    def test_no_other_encoding_of_it_is_one(self) -> None:
        r, s = decode_dss_signature(DER)
        assert is_signature(KEY, SAID, encode_dss_signature(r, s))
        for other in (encode_dss_signature(r + ORDER, s), encode_dss_signature(r, s + ORDER), DER + b"\0",
                      DER[:1] + b"\x81" + DER[1:], b"\0" + DER):  # fmt: skip
            assert not is_signature(KEY, SAID, other)

    def test_none_of_another_curve_or_hash_is_one(self) -> None:
        assert not is_signature(KEY, SAID, ec.generate_private_key(ec.SECP256K1()).sign(SAID, ec.ECDSA(SHA256())))
        assert not is_signature(KEY, SAID, ec.generate_private_key(ec.SECP384R1()).sign(SAID, ec.ECDSA(SHA384())))
        assert not is_signature(KEY, SAID, OURS.private.sign(SAID, ec.ECDSA(SHA384())))

    def test_a_signature_under_the_name_of_another_key_is_none(self) -> None:
        lent = Signature(key_id=KEY.id, signature=base64.b64encode(OTHER.sign(SAID)).decode())
        assert not verifies(KEY, SAID, lent.to_bytes())
        renamed = Signature(key_id=OTHER.public_key().id, signature=base64.b64encode(DER).decode())
        assert not verifies(KEY, SAID, renamed.to_bytes())
        assert not verifies(KEY, SAID, STORED + b" " * 2000)


class TestRunning:
    def test_nothing_of_an_unsigned_version_is_parsed(self) -> None:
        store = bucket(OURS)
        store.put_new(keys.version_manifest("iris", "0" * 16), b"no manifest at all")
        with pytest.raises(SignatureRefused, match="`perennial keys sign iris 0000000000000000`"):
            read_manifest(store, "iris", "0" * 16)

    def test_runs_once_signed_and_can_be_read_about_before(self) -> None:
        store = bucket(OURS)
        version = published(store)
        assert look_up(store, "iris", version) == BUILT.manifest
        with pytest.raises(SignatureRefused, match=KEY.id):
            load(store, "iris", version)
        sign_version(store, OURS, "iris", version)
        assert load(store, "iris", version).manifest == BUILT.manifest

    def test_a_version_that_is_not_there_is_told_as_such(self) -> None:
        with pytest.raises(NotFoundError):
            read_manifest(bucket(OURS), "iris", "0" * 16)

    def test_a_signed_manifest_answers_to_no_other_name(self) -> None:
        store = bucket(OURS)
        store.put_new(keys.version_manifest("iris", "0" * 16), BUILT.manifest.to_bytes())
        with pytest.raises(IntegrityError, match="does not match its name"):
            sign_version(store, OURS, "iris", "0" * 16)
        found = Signature(
            key_id=KEY.id,
            signature=base64.b64encode(OURS.sign(statement("iris", "0" * 16, BUILT.manifest.to_bytes()))).decode(),
        )
        store.put_new(keys.version_signature("iris", "0" * 16, KEY.id), found.to_bytes())
        with pytest.raises(IntegrityError, match="does not match its name"):
            read_manifest(store, "iris", "0" * 16)

    @pytest.mark.parametrize("what", ["manifest", "graph", "signature"])
    def test_what_is_larger_than_it_can_be_is_not_even_read(self, what: str, monkeypatch: pytest.MonkeyPatch) -> None:
        """Or one object of 5 GB would end every server that looks at it, and its last good version with it."""
        monkeypatch.setattr("perennial.registry.verify.MOST_BYTES", 100_000)
        raw, read = MemoryStore(), list[str]()
        version = published(bucket(raw=raw))
        sign_version(bucket(raw=raw), OURS, "iris", version)
        place = {
            "manifest": keys.version_manifest("iris", version),
            "graph": keys.registry_blob("iris", BUILT.manifest.files[MODEL_FILE].digest),
            "signature": keys.version_signature("iris", version, KEY.id),
        }[what]
        raw.put(place, b"{" * 200_000)

        class Watched:
            """An answer of which it is seen whether its body is taken."""

            def __init__(self, result: Any, key: str) -> None:
                self.meta, self._result, self._key = result.meta, result, key

            def bytes(self) -> Any:
                read.append(self._key)
                return self._result.bytes()

        def watch(operation: str, key: str, request: Callable[[], Any]) -> Any:
            return Watched(request(), key) if operation == "get" else request()

        with pytest.raises(IntegrityError):
            load(Store(Seam(raw, watch), trust=trusting(OURS)), "iris", version)
        assert place not in read


class TestSigning:
    def test_repeated_it_finds_what_is_there(self) -> None:
        store = bucket(OURS)
        version = published(store)
        assert sign_version(store, OURS, "iris", version) == sign_version(store, OURS, "iris", version)

    @pytest.mark.parametrize("junk", [b"{}", b"{" * 1_000_000])
    def test_who_has_the_key_signs_over_what_lies_in_its_place(self, junk: bytes) -> None:
        """Or whoever writes there first has the version refused for ever: nobody may delete it."""
        store = bucket(OURS)
        version = published(store)
        store.put_new(keys.version_signature("iris", version, KEY.id), junk)
        with pytest.raises(SignatureRefused, match="false signature") as refused:
            read_manifest(store, "iris", version)
        assert f"`perennial keys sign iris {version}` puts a true one in its place" in str(refused.value.remedy)
        sign_version(store, OURS, "iris", version)
        assert read_manifest(store, "iris", version) == BUILT.manifest

    def test_one_who_writes_there_again_and_again_is_told_of(self) -> None:
        raw = MemoryStore()
        version = published(bucket(raw=raw))
        place = keys.version_signature("iris", version, KEY.id)
        bucket(raw=raw).put_new(place, b"{}")

        def meddle(operation: str, key: str, request: Callable[[], Any]) -> Any:
            if operation == "put" and key == place:
                raw.put(place, b"[]")
            return request()

        with pytest.raises(IntegrityError, match="is no signature by that key"):
            sign_version(Store(Seam(raw, meddle), trust=trusting(OURS)), OURS, "iris", version)

    def test_a_signer_that_gives_something_else_is_found_out(self) -> None:
        class Lying:
            public_key = OTHER.public_key
            sign = OURS.sign

        store = bucket(OTHER)
        with pytest.raises(IntegrityError, match="no ECDSA signature"):
            sign_version(store, Lying(), "iris", published(store))


class TestPromotion:
    def test_an_unsigned_version_is_refused_with_the_remedy(self) -> None:
        store = bucket(OURS)
        version = published(store)
        with pytest.raises(PromotionRefused) as refused:
            promoted(store, version)
        assert refused.value.remedy == f"Sign it if it is yours: `perennial keys sign iris {version}`."
        sign_version(store, OURS, "iris", version)
        promoted(store, version)

    def test_keys_change_while_versions_serve_on(self) -> None:
        raw = MemoryStore()
        before = bucket(OURS, raw=raw)
        for seed in (0, 1, 2):
            version = published(before, build(seed=seed))
            sign_version(before, OURS, "iris", version)
            promoted(before, version)

        both = bucket(OTHER, OURS, raw=raw)
        load(both, "iris", version)
        done = sign_serving(both, OTHER)
        assert [one.serves for one in done] == ["champion", "before"]

        after = bucket(OTHER, raw=raw)
        load(after, "iris", version)
        assert Registry(after).rollback("iris", op_id="r", actor="a", reason="", now=NOW).version == done[1].version
        signed_by = {one.version: one.keys for one in signatures(after, "iris")}
        assert sorted(map(len, signed_by.values())) == [0, 1, 1]
        with pytest.raises(PromotionRefused, match="keys sign iris"):
            Registry(after).rollback("iris", op_id="r2", actor="a", reason="", now=NOW)

    def test_no_key_vouches_for_what_no_key_vouched_for(self) -> None:
        raw = MemoryStore()
        version = published(bucket(raw=raw))
        promoted(bucket(raw=raw), version)
        with pytest.raises(SignatureRefused):
            sign_serving(bucket(OURS, raw=raw), OTHER)
        assert signatures(bucket(OTHER, raw=raw), "iris")[0].keys == ()
