"""A manifest keeps its name: that of an earlier release, whose spec lacks keys that have come since, too."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from perennial import keys
from perennial.errors import IntegrityError
from perennial.registry.check import check
from perennial.registry.manifest import MODEL_FILE, MOST_FILE_BYTES, ModelManifest, version_of
from perennial.registry.registry import Registry
from perennial.spec import canonical
from perennial.store import memory_store
from tests.support.versions import MODEL, at, version

NEW_KEYS: dict[str, Any] = {
    "sources": True,
    "gate": {"confidence", "approval_timeout"},
    "retrain": {"feedback"},
    "monitor": {"capture", "window", "minimum_rows", "effect", "feedback_within"},
}


def old_form(manifest: ModelManifest) -> bytes:
    """As the release before these keys wrote it."""
    return canonical(manifest.model_dump(mode="json", exclude={"spec": NEW_KEYS}))


def test_a_version_of_the_earlier_release_is_read_promoted_and_audited_under_its_name() -> None:
    store = memory_store()
    manifest, files = version()
    data = old_form(manifest)
    name = version_of(data)
    assert name != manifest.version and b"feedback" not in data
    for content in files.values():
        store.put_new(keys.registry_blob(MODEL, hashlib.sha256(content).hexdigest()), content)
    store.put_new(keys.version_manifest(MODEL, name), data)
    registry = Registry(store)
    read = registry.manifest(MODEL, name)
    assert (read.version, read.to_bytes()) == (name, data)
    assert read.spec == manifest.spec and read == ModelManifest.from_bytes(data, name)
    entry = registry.promote(MODEL, name, op_id="one", actor="test", reason="", now=at(0))
    assert entry.version == name
    assert check(store, MODEL) == ()
    assert registry.publish(read, files) == name


def test_a_changed_copy_has_a_name_of_its_own() -> None:
    manifest, _ = version()
    data = old_form(manifest)
    read = ModelManifest.from_bytes(data, version_of(data))
    assert read.model_copy().version == read.version
    changed = read.model_copy(update={"run": "another"})
    assert changed.version == version_of(changed.to_bytes()) != read.version
    assert b'"run":"another"' in changed.to_bytes()


def test_what_is_no_manifest_is_refused() -> None:
    manifest, _ = version()
    with pytest.raises(IntegrityError, match="does not match its name"):
        ModelManifest.from_bytes(old_form(manifest), manifest.version)
    with pytest.raises(IntegrityError, match="malformed"):
        ModelManifest.from_bytes(b"{}", version_of(b"{}"))


@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999"])
def test_a_number_that_is_none_is_malformed(number: bytes) -> None:
    """Canonical JSON has none, so such a manifest could not be told from what it was read from."""
    data = version()[0].to_bytes().replace(b'"value":0.9', b'"value":' + number)
    with pytest.raises(IntegrityError, match="is malformed"):
        ModelManifest.from_bytes(data, version_of(data))


def test_a_file_larger_than_anyone_could_hold_is_malformed() -> None:
    manifest, _ = version()
    size = b'"size":%d' % manifest.files[MODEL_FILE].size
    data = manifest.to_bytes().replace(size, b'"size":%d' % (MOST_FILE_BYTES + 1))
    with pytest.raises(IntegrityError, match="is malformed"):
        ModelManifest.from_bytes(data, version_of(data))
