"""From the registry to a predictor, trusting nothing that is not signed and does not match its digest."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from perennial.errors import IntegrityError
from perennial.registry.manifest import MODEL_FILE, ModelManifest
from perennial.registry.signing import load_verifier
from perennial.registry.verify import read_file, read_manifest
from perennial.serving.champion import Champion, read_champion
from perennial.serving.predictor import Predictor
from perennial.store import Store


def first_champion(store: Store, model: str) -> Champion:
    """The champion of a model of which nothing is known. A process's first look at S3 makes it ready to load a version.

    Raises as :func:`perennial.serving.champion.read_champion`.
    """
    if ModelManifest.__pydantic_complete__:
        return read_champion(store, model)
    with ThreadPoolExecutor(1) as aside:  # S3 takes as long as what is imported and built meanwhile
        champion = aside.submit(read_champion, store, model)
        if store.trust is not None:
            load_verifier()
        ModelManifest.model_rebuild()
    return champion.result()


def load(store: Store, model: str, version: str) -> Predictor:
    """Read, verify and load one version of a model; nothing is parsed before its signature and digest were checked.

    Raises:
        SignatureRefused: no key that the store trusts signed it.
        IntegrityError: manifest or graph do not match their digests, belong to another model, or cannot be run.
        NotFoundError: the version, or its graph, is not in the registry.
        StoreUnavailable: S3 did not answer.
    """
    manifest = read_manifest(store, model, version)
    if MODEL_FILE not in manifest.files:
        raise IntegrityError(f"Version {version} of {model} has no {MODEL_FILE}.")
    return Predictor(manifest, read_file(store, manifest, MODEL_FILE))
