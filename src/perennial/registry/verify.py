"""Reading a version without trusting what is stored: everything must match the digest it is named by."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from perennial import keys
from perennial.errors import IntegrityError, NotFoundError
from perennial.registry.manifest import MOST_BYTES, FileRef, ModelManifest, model_name
from perennial.registry.signing import check_signature, find_signature, load_verifier
from perennial.store import Store

Read = Callable[[Store, str, str], bytes]


def read_manifest(store: Store, model: str, version: str) -> ModelManifest:
    """The manifest of a version that is to be run: signed, where the store's trust asks for that.

    Raises:
        NotFoundError: there is no such version.
        SignatureRefused: no key that is trusted signed it; nothing of it has been parsed then.
        IntegrityError: it does not match its name, or is another model's.
    """
    return look_up(store, model, version, _signed_bytes)


def look_up(store: Store, model: str, version: str, read: Read | None = None) -> ModelManifest:
    """The manifest of a version that is only told of, whoever signed it. Raises as ``read_manifest`` otherwise."""
    data = (read or _bytes)(store, model_name(model), keys.segment(version))
    manifest = ModelManifest.from_bytes(data, version)
    if manifest.model != model:
        raise IntegrityError(f"Version {version} under {model} is a version of {manifest.model}.")
    return manifest


def _bytes(store: Store, model: str, version: str) -> bytes:
    found = store.find(keys.version_manifest(model, version), most=MOST_BYTES)
    if found is None:
        raise NotFoundError(
            f"{model} has no version {version}.", remedy=f"`perennial versions {model}` lists what there is."
        )
    return found.data


def _signed_bytes(store: Store, model: str, version: str) -> bytes:
    """The bytes of a manifest, once their signature has been checked; it is fetched meanwhile."""
    if store.trust is None:
        return _bytes(store, model, version)
    with ThreadPoolExecutor(2) as aside:  # a cold start waits for both, and for the import, but once
        manifest = aside.submit(_bytes, store, model, version)
        signature = aside.submit(find_signature, store, store.trust, model, version)
        load_verifier()
    data = manifest.result()
    check_signature(signature.result(), store.trust, model, version, data)
    return data


def read_file(store: Store, manifest: ModelManifest, name: str) -> bytes:
    """One file of a version.

    Raises:
        NotFoundError: the manifest names no such file, or its blob is missing.
        IntegrityError: the blob does not match its digest or size.
    """
    ref = manifest.files.get(name)
    if ref is None:
        raise NotFoundError(f"Version {manifest.version} of {manifest.model} has no file {name!r}.")
    try:
        found = store.find(keys.registry_blob(manifest.model, ref.digest), most=ref.size)
    except IntegrityError as error:
        what = f"{name} of {manifest.model} {manifest.version} is larger than its manifest says"
        raise IntegrityError(f"{what} ({_short(ref)}).") from error
    if found is None:
        raise NotFoundError(f"{name} of {manifest.model} {manifest.version} is missing ({_short(ref)}).")
    if not matches(found.data, ref):
        raise IntegrityError(
            f"{name} of {manifest.model} {manifest.version} does not match its digest ({_short(ref)})."
        )
    return found.data


def damages(
    store: Store, model: str, version: str, *, signed: bool = False
) -> Iterator[NotFoundError | IntegrityError]:
    """Everything missing from, or wrong with, what is stored of a version; where asked for, its signature too."""
    try:
        manifest = (read_manifest if signed else look_up)(store, model, version)
    except (NotFoundError, IntegrityError) as error:
        yield error
        return
    for name in manifest.files:
        try:
            read_file(store, manifest, name)
        except (NotFoundError, IntegrityError) as error:
            yield error


def matches(data: bytes, ref: FileRef) -> bool:
    """Whether ``data`` is the content that ``ref`` names."""
    return len(data) == ref.size and hashlib.sha256(data).hexdigest() == ref.digest


def _short(ref: FileRef) -> str:
    return f"sha256 {ref.digest[:12]}…"
