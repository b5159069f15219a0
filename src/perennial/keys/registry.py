"""Keys of versions, of the log that says which is champion, and of what it was judged by."""

from __future__ import annotations

from perennial.keys.names import segment


def registry_of(m: str) -> str:
    """All that the registry keeps of a model."""
    return f"{m}/registry/"


def registry_blob(m: str, digest: str) -> str:
    return f"{m}/registry/blobs/sha256/{digest}"


def versions(m: str) -> str:
    return f"{m}/registry/versions/"


def version_manifest(m: str, version: str) -> str:
    return f"{m}/registry/versions/{version}/manifest.json"


def version_signature(m: str, version: str, key_id: str) -> str:
    """The signature of a version's manifest by one key."""
    return f"{m}/registry/versions/{version}/signatures/{key_id}.json"


def log_entries(m: str) -> str:
    return f"{m}/registry/log/"


def log_entry(m: str, generation: int) -> str:
    """The commit: creating this object is the state change."""
    return f"{m}/registry/log/{generation:08d}.json"


def intent(m: str, op_id: str) -> str:
    """The generation at which an operation was first tried: bounds the search for its own commit."""
    return f"{m}/registry/ops/{segment(op_id)}.json"


def intents(m: str) -> str:
    return f"{m}/registry/ops/"


def gate_decision(m: str, op_id: str) -> str:
    """The gate's answer, kept whether it passed or failed."""
    return f"{m}/registry/gates/{segment(op_id)}.json"


def alias(m: str, name: str) -> str:
    return f"{m}/registry/alias/{name}.json"
