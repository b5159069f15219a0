"""Keys and signers for tests; and versions signed as the local stack trusts them."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key

from perennial.deploy.trust import local_key
from perennial.jobs.signers import FileSigner
from perennial.registry.signing import Signer, sign_version
from perennial.store import Store
from perennial.trust import TrustedKeys


@cache
def signer(name: str = "ours") -> FileSigner:
    """A key of its own for each name, the same for the length of a run."""
    return FileSigner(generate_private_key(SECP256R1()))


def trusting(*signers: Signer) -> TrustedKeys:
    return TrustedKeys(tuple(one.public_key() for one in signers))


def signed(store: Store, model: str, version: str) -> str:
    """Sign a version with the key of the local stacks, where the store asks for signatures; returns the version."""
    if store.trust is not None:
        sign_version(store, local_signer(), model, version)
    return version


@cache
def local_signer() -> FileSigner:
    return FileSigner.read(Path(local_key().name))
