"""Reading a version without trusting what is stored: everything must match the digest it is named by."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from perennial import keys
from perennial.errors import IntegrityError, NotFoundError
from perennial.registry.manifest import FileRef, ModelManifest, model_name
from perennial.store import Store


def read_manifest(store: Store, model: str, version: str) -> ModelManifest:
    """The manifest of a version.

    Raises:
        NotFoundError: there is no such version.
        IntegrityError: it does not match its name, or is another model's.
    """
    found = store.find(keys.version_manifest(model_name(model), keys.segment(version)))
    if found is None:
        raise NotFoundError(
            f"{model} has no version {version}.", remedy=f"`perennial versions {model}` lists what there is."
        )
    manifest = ModelManifest.from_bytes(found.data, version)
    if manifest.model != model:
        raise IntegrityError(f"Version {version} under {model} is a version of {manifest.model}.")
    return manifest


def read_file(store: Store, manifest: ModelManifest, name: str) -> bytes:
    """One file of a version.

    Raises:
        NotFoundError: the manifest names no such file, or its blob is missing.
        IntegrityError: the blob does not match its digest or size.
    """
    ref = manifest.files.get(name)
    if ref is None:
        raise NotFoundError(f"Version {manifest.version} of {manifest.model} has no file {name!r}.")
    found = store.find(keys.registry_blob(manifest.model, ref.digest))
    if found is None:
        raise NotFoundError(f"{name} of {manifest.model} {manifest.version} is missing ({_short(ref)}).")
    if not matches(found.data, ref):
        raise IntegrityError(
            f"{name} of {manifest.model} {manifest.version} does not match its digest ({_short(ref)})."
        )
    return found.data


def damages(store: Store, model: str, version: str) -> Iterator[NotFoundError | IntegrityError]:
    """Everything missing from, or wrong with, what is stored of a version."""
    try:
        manifest = read_manifest(store, model, version)
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
