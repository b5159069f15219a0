"""Who signs versions: a key file on this machine, or a key of KMS that nobody can read.

Both are opened on first use, by what needs them: ``cryptography`` for a file, boto3 for KMS.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from perennial.errors import SettingsError, SigningUnavailable
from perennial.registry.signing import ALGORITHM, Signer
from perennial.settings import LOCAL_CREDENTIALS, VARIABLES, Settings
from perennial.trust import PublicKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

KMS = "kms:"
_VARIABLE = VARIABLES["signing_key"]
_OTHERS = 0o077


def open_signer(settings: Settings) -> Signer | None:
    """What the settings sign with; None where they name nothing.

    Raises:
        SettingsError: the key file cannot be used.
    """
    named = settings.signing_key
    if named is None:
        return None
    return KmsSigner(named.removeprefix(KMS), settings) if named.startswith(KMS) else FileSigner.read(Path(named))


@dataclass(frozen=True)
class FileSigner:
    """Signs with the private key of a PEM file (PKCS #8, unencrypted), which only its owner may read."""

    private: EllipticCurvePrivateKey

    @classmethod
    def read(cls, path: Path) -> FileSigner:
        """Raises SettingsError where there is no such key of P-256, or others than its owner may open the file."""
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            if path.stat().st_mode & _OTHERS:
                raise SettingsError(f"{path}: others than its owner may open it.", remedy=f"`chmod 600 {path}`.")
            found = load_pem_private_key(path.read_bytes(), None)
        except OSError as error:
            raise SettingsError(
                f"{path}: cannot be read ({error.strerror}).", remedy=f"`perennial keys new {path}` makes a key."
            ) from error
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SettingsError(
                f"{path}: holds no private key in PEM, or an encrypted one.", remedy=f"Name another by {_VARIABLE}."
            ) from error
        if not isinstance(found, EllipticCurvePrivateKey) or not isinstance(found.curve, SECP256R1):
            raise SettingsError(f"{path}: is no key of the curve P-256.", remedy="`perennial keys new FILE` makes one.")
        return cls(found)

    def public_key(self) -> PublicKey:
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

        public = self.private.public_key()
        return PublicKey.from_der(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))

    def sign(self, statement: bytes) -> bytes:
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
        from cryptography.hazmat.primitives.hashes import SHA256

        return self.private.sign(statement, ECDSA(SHA256()))


def new_key_file(path: Path) -> FileSigner:
    """Make a key and write it to a new file that only its owner may read. Raises SettingsError where it exists."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    private = generate_private_key(SECP256R1())
    data = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except OSError as error:
        raise SettingsError(
            f"{path}: cannot be made ({error.strerror}).", remedy="Name a file that does not exist yet."
        ) from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
    return FileSigner(private)


@dataclass(frozen=True)
class KmsSigner:
    """Signs with an asymmetric key of KMS: ``name`` is its ARN, its id, or ``alias/NAME``."""

    name: str
    settings: Settings

    def public_key(self) -> PublicKey:
        """Raises SigningUnavailable where KMS does not answer or refuses, and where the key is not one of P-256."""
        return self._public_key

    @cached_property
    def _public_key(self) -> PublicKey:
        with _kms_errors(self.name):
            return kms_public_key(self._client, self.name)

    def sign(self, statement: bytes) -> bytes:
        """Raises SigningUnavailable where KMS does not answer, or refuses."""
        with _kms_errors(self.name):
            answer = self._client.sign(
                KeyId=self.name, Message=statement, MessageType="RAW", SigningAlgorithm=ALGORITHM
            )
            return bytes(answer["Signature"])

    @cached_property
    def _client(self) -> Any:
        import boto3

        parts = self.name.split(":")
        region = parts[3] if len(parts) > 5 else self.settings.region
        given = LOCAL_CREDENTIALS if self.settings.emulated and not os.environ.get("AWS_ACCESS_KEY_ID") else {}
        return boto3.Session().client(
            "kms", endpoint_url=self.settings.aws_endpoint_url, region_name=region,
            **{name.lower(): value for name, value in given.items()},
        )  # fmt: skip


def kms_public_key(client: Any, name: str) -> PublicKey:
    """The public key of an asymmetric key of KMS. Raises SigningUnavailable for any but one of P-256 that signs."""
    answer = client.get_public_key(KeyId=name)
    try:
        if answer["KeyUsage"] != "SIGN_VERIFY":
            raise ValueError("it is not made to sign")
        return PublicKey.from_der(bytes(answer["PublicKey"]))
    except ValueError as error:
        raise SigningUnavailable(
            f"The key {name} of KMS cannot sign versions: {error}.",
            remedy="Make one with KeySpec ECC_NIST_P256 and KeyUsage SIGN_VERIFY, as infra/signing.yaml does.",
        ) from error


@contextmanager
def _kms_errors(name: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        reason = " ".join(str(error).split()).rstrip(".")[:300]
        raise SigningUnavailable(
            f"The key {name} of KMS: {reason}.",
            remedy="Check its name, AWS_REGION, and that you have kms:Sign and kms:GetPublicKey on it.",
        ) from error
