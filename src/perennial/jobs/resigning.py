"""Keys change, versions stay: sign again what serves, and say which version bears whose signature."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from perennial import keys
from perennial.errors import PromotionRefused
from perennial.registry.log import Intent, ModelLog
from perennial.registry.registry import Registry, models
from perennial.registry.signing import Signer, sign_version, statement, verifies
from perennial.registry.verify import read_manifest
from perennial.store import Store


@dataclass(frozen=True)
class Signed:
    """One version and the trusted keys that signed it, by their ids; ``serves`` says as what it is needed."""

    model: str
    version: str
    serves: str
    keys: tuple[str, ...]


def sign_serving(store: Store, signer: Signer) -> tuple[Signed, ...]:
    """Sign every version that serves, is on trial or is one rollback away, with a new key.

    None is signed that could not be run now: a signature says that a version is ours, and is never given unseen.

    Raises:
        SignatureRefused: one of them bears no signature that is trusted yet; those before it are signed.
        IntegrityError: one was tampered with.
    """
    done = []
    for model in models(store):
        for version, serves in serving(store, model):
            read_manifest(store, model, version)
            signature = sign_version(store, signer, model, version)
            done.append(Signed(model, version, serves, (signature.key_id,)))
    return tuple(done)


def serving(store: Store, model: str) -> Iterator[tuple[str, str]]:
    """The versions of a model that may have to answer without another promotion, each with its part."""
    log = ModelLog(store, model)
    head = log.newest()
    if head is None:
        return
    yield head.version, "champion"
    if head.trial is not None:
        yield head.trial.version, head.trial.mode
    try:
        before = log.before(Intent(op_id="-", kind="rollback", to=None, generation=head.generation)).version
    except PromotionRefused:  # there is none
        return
    if before != head.version:
        yield before, "before"


def signatures(store: Store, model: str) -> tuple[Signed, ...]:
    """Every version of a model, with the keys trusted here whose signature it bears."""
    parts = dict(serving(store, model))
    found = []
    for version in Registry(store).versions(model):
        manifest = store.get(keys.version_manifest(model, version)).data
        said = statement(model, version, manifest)
        ids = []
        for key in store.trust.keys if store.trust else ():
            there = store.find(keys.version_signature(model, version, key.id))
            if there is not None and verifies(key, said, there.data):
                ids.append(key.id)
        found.append(Signed(model, version, parts.get(version, ""), tuple(ids)))
    return tuple(found)
