"""What may be wrong with a version, an alias or a log: each a few objects of the bucket with other bytes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from random import Random

from perennial import keys
from perennial.canonical import canonical
from perennial.registry.entries import MOST_BYTES as MOST_ENTRY
from perennial.registry.manifest import MODEL_FILE, MOST_BYTES, MOST_FILE_BYTES, version_of
from perennial.registry.signing import sign_version, statement
from tests.support.chaos.serving_models import FURTHER, MODEL, NEW, OLD
from tests.support.chaos.serving_site import ALIAS, Site
from tests.support.signing import local_signer, signer

Objects = Mapping[str, bytes | None]
FLIPS = (0x01, 0x80, 0xFF)
MANIFEST = keys.version_manifest(MODEL, NEW.version)
GRAPH = keys.registry_blob(MODEL, NEW.manifest.files[MODEL_FILE].digest)


@dataclass(frozen=True)
class Spoiled:
    """One thing that is wrong. None stands for an object that is gone."""

    what: str
    objects: Objects


def signature_key(version: str) -> str:
    return keys.version_signature(MODEL, version, local_signer().public_key().id)


def flipped(data: bytes, at: int, by: int) -> bytes:
    return data[:at] + bytes([data[at] ^ by]) + data[at + 1 :]


def flips_of(site: Site, key: str, what: str, kinds: tuple[int, ...], step: int = 1) -> Iterator[Spoiled]:
    """Each byte of an object, or each ``step``-th, changed in these ways; without any, in another way at each place."""
    data = site.writer.get(key).data
    for at in range(0, len(data), step):
        ways = kinds or (FLIPS[at % len(FLIPS)],)
        yield from (Spoiled(what, {key: flipped(data, at, by)}) for by in ways)


def random_flips(site: Site, key: str, what: str, count: int, draw: Random) -> Iterator[Spoiled]:
    data = site.writer.get(key).data
    for _ in range(count):
        yield Spoiled(what, {key: flipped(data, draw.randrange(len(data)), draw.randrange(1, 256))})


def replaced(site: Site) -> Iterator[Spoiled]:
    """Manifest and graph cut, empty, doubled, gone, or those of another version."""
    others = {MANIFEST: OLD.manifest.to_bytes(), GRAPH: FURTHER.onnx}
    for key, what in ((MANIFEST, "manifest"), (GRAPH, "graph")):
        data = site.writer.get(key).data
        cuts = (data[:1], data[: len(data) // 2], data[:-1])
        yield from (Spoiled(f"{what} truncated", {key: cut}) for cut in cuts)
        yield Spoiled(f"{what} truncated", {key: b""})
        yield Spoiled(f"{what} of other length", {key: data + data})
        yield Spoiled(f"{what} of other length", {key: data + b"\0"})
        yield Spoiled(f"{what} gone", {key: None})
        yield Spoiled(f"{what} of another version", {key: others[key]})
    yield Spoiled("graph of other length", {GRAPH: bytes(len(site.writer.get(GRAPH).data))})


def signatures(site: Site) -> Iterator[Spoiled]:
    """A signature that is gone, cut, or true of something else. The version itself is as it was published."""
    key = signature_key(NEW.version)
    ours, true = local_signer(), site.writer.get(key).data
    stranger = sign_version(site.writer, signer("stranger"), MODEL, NEW.version)
    yield Spoiled("signature gone", {key: None})
    for cut in (b"", true[:1], true[: len(true) // 2], true[:-1], true + true, true + b" ", b" " * 2_000_000):
        yield Spoiled("signature truncated or longer", {key: cut})
    yield Spoiled("signature of another version", {key: site.writer.get(signature_key(OLD.version)).data})
    yield Spoiled("signature by another key", {key: stranger.to_bytes()})
    renamed = stranger.model_copy(update={"key_id": ours.public_key().id}).to_bytes()
    yield Spoiled("signature by another key", {key: renamed})
    for model, version, manifest in (
        ("other", NEW.version, NEW.manifest.to_bytes()),
        (MODEL, FURTHER.version, NEW.manifest.to_bytes()),
        (MODEL, NEW.version, OLD.manifest.to_bytes()),
    ):
        said = _signed(statement(model, version, manifest))
        yield Spoiled("signature of another version", {key: said})


def _signed(said: bytes) -> bytes:
    from base64 import b64encode

    from perennial.registry.signing import Signature

    ours = local_signer()
    return Signature(key_id=ours.public_key().id, signature=b64encode(ours.sign(said)).decode()).to_bytes()


def unsigned_version(site: Site) -> Spoiled:
    """A whole version that nobody signed, made champion by somebody who may write the log."""
    manifest = NEW.manifest.model_copy(update={"run": "by hand"})
    objects = {keys.version_manifest(MODEL, manifest.version): manifest.to_bytes()}
    return Spoiled("version that nobody signed", objects | site.forged(manifest.version))


def registries(site: Site) -> Iterator[Spoiled]:
    """Aliases and log entries that lead nowhere, are nothing, or too much."""
    yield Spoiled("alias to a version that is not there", site.forged("0" * 16))
    yield Spoiled("alias to a version that is not there", site.forged("../../../secret"))
    entry = keys.log_entry(MODEL, 2)
    good = site.writer.get(entry).data
    for data in (b"", b"{}", b"null", b"\xff" * 50, b"[" * 100_000, good[:-1], b'{"generation":2}'):
        yield Spoiled("log entry that is none", {entry: data})
        yield Spoiled("log entry that is none", {entry: data, ALIAS: data})
    for size in (MOST_ENTRY + 1 - len(good), 32 << 20):
        large = good + b" " * size  # still JSON, and the same entry
        yield Spoiled("log entry too large", {entry: large})
        yield Spoiled("log entry too large", {entry: large, ALIAS: large})
    yield Spoiled("log entry gone", {entry: None})
    first = site.writer.get(keys.log_entry(MODEL, 1)).data
    yield Spoiled("alias that copies no log entry", {ALIAS: first.replace(b"1", b"0")})


def manifests(site: Site) -> Iterator[Spoiled]:
    """Versions made as a trainer may make them, signature and all, whose manifests are too much for a reader."""
    plain = NEW.manifest.to_bytes()
    place, size = b'"C":1.0', b'"size":%d' % len(NEW.onnx)
    deep, value = b'"C":' + b"[" * 100_000 + b"]" * 100_000, b'"value":0.9'
    assert place in plain and size in plain and value in plain
    yield from (
        _made(site, what, data)
        for what, data in (
            ("manifest of 100 MB", plain + b" " * ((100 << 20) - len(plain))),
            ("manifest of 100 MB", plain + b" " * (MOST_BYTES + 1 - len(plain))),
            ("manifest nested deeply", plain.replace(place, deep)),
            ("manifest nested deeply", b"[" * 1_000_000),
            ("number that is none", plain.replace(value, b'"value":NaN')),
            ("number that is none", plain.replace(value, b'"value":-Infinity')),
            ("number that is none", plain.replace(value, b'"value":1e999')),
            ("number that is none", plain.replace(b'"seed":2', b'"seed":' + b"9" * 5_000)),
            ("file larger than any may be", plain.replace(size, b'"size":%d' % (MOST_FILE_BYTES + 1))),
            ("manifest of another model", plain.replace(b'"name":"iris"', b'"name":"other"')),
            ("manifest that is none", canonical({})),
        )
    )


def _made(site: Site, what: str, data: bytes) -> Spoiled:
    version = version_of(data)
    objects = {keys.version_manifest(MODEL, version): data} | site.forged(version)
    if site.trust is not None:
        objects[signature_key(version)] = _signed(statement(MODEL, version, data))
    return Spoiled(what, objects)
