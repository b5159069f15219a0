"""One suite over everything that signs: a key file, and a key of KMS at each emulator."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
)

from perennial.deploy import trust
from perennial.deploy.aws import Aws
from perennial.deploy.ministack import ACCESS_KEY, REGION, SECRET_KEY
from perennial.errors import DeployError, SettingsError, SigningUnavailable
from perennial.jobs.signers import FileSigner, KmsSigner, new_key_file, open_signer
from perennial.registry.signing import Signer, is_signature, sign_version
from perennial.registry.verify import read_manifest
from perennial.settings import Settings
from perennial.store import memory_store
from perennial.trust import TrustedKeys
from tests.support.models import build, register

SAID = b"x" * 4096
"""The longest that KMS signs as it is."""


def kms(endpoint_url: str) -> Any:
    return boto3.client("kms", endpoint_url=endpoint_url, region_name=REGION)


@pytest.fixture(params=["file", "moto", "ministack"])
def signer(request: pytest.FixtureRequest, tmp_path: Path, fresh_bucket: Callable[[str], Settings]) -> Signer:
    if request.param == "file":
        new_key_file(tmp_path / "key.pem")
        return FileSigner.read(tmp_path / "key.pem")
    settings = fresh_bucket(request.getfixturevalue(f"{request.param}_endpoint"))
    made = kms(str(settings.aws_endpoint_url)).create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")
    found = open_signer(settings.model_copy(update={"signing_key": f"kms:{made['KeyMetadata']['Arn']}"}))
    assert isinstance(found, KmsSigner)
    return found


def test_what_it_signs_bears_its_public_key(signer: Signer) -> None:
    assert is_signature(signer.public_key(), SAID, signer.sign(SAID))
    assert not is_signature(signer.public_key(), SAID[1:], signer.sign(SAID))


def test_a_version_that_it_signed_runs_where_it_is_trusted(signer: Signer) -> None:
    store = memory_store()
    version = register(store, build())
    sign_version(store, signer, "iris", version)
    store.trust = TrustedKeys((signer.public_key(),))
    assert read_manifest(store, "iris", version).version == version


@pytest.mark.parametrize(("spec", "usage"), [("ECC_NIST_P384", "SIGN_VERIFY"), ("ECC_SECG_P256K1", "SIGN_VERIFY")])
def test_a_kms_key_of_another_curve_signs_nothing(
    spec: str, usage: str, ministack_endpoint: str, fresh_bucket: Callable[[str], Settings]
) -> None:
    settings = fresh_bucket(ministack_endpoint)
    made = kms(ministack_endpoint).create_key(KeySpec=spec, KeyUsage=usage)["KeyMetadata"]
    with pytest.raises(SigningUnavailable, match="P-256"):
        KmsSigner(made["Arn"], settings).public_key()


def test_a_kms_key_that_is_not_there_is_told_in_one_line(
    ministack_endpoint: str, fresh_bucket: Callable[[str], Settings]
) -> None:
    signer = KmsSigner("alias/none", fresh_bucket(ministack_endpoint))
    for call in (signer.public_key, lambda: signer.sign(SAID)):
        with pytest.raises(SigningUnavailable, match=r"alias/none of KMS: .*NotFound.*kms:Sign"):
            call()


class TestFiles:
    def test_only_its_owner_may_read_a_new_one(self, tmp_path: Path) -> None:
        before = os.umask(0)
        try:
            new_key_file(tmp_path / "deep" / "key.pem")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "deep" / "key.pem").stat().st_mode) == 0o600

    def test_none_is_written_over(self, tmp_path: Path) -> None:
        made = new_key_file(tmp_path / "key.pem").public_key()
        with pytest.raises(SettingsError, match="File exists"):
            new_key_file(tmp_path / "key.pem")
        assert FileSigner.read(tmp_path / "key.pem").public_key() == made

    @pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
    def test_one_that_others_may_open_is_refused(self, tmp_path: Path, mode: int) -> None:
        new_key_file(tmp_path / "key.pem")
        (tmp_path / "key.pem").chmod(mode)
        with pytest.raises(SettingsError, match="chmod 600"):
            FileSigner.read(tmp_path / "key.pem")

    @pytest.mark.parametrize("kind", ["p384", "rsa", "encrypted", "garbage", "public", "missing"])
    def test_what_is_no_key_of_ours_is_refused(self, tmp_path: Path, kind: str) -> None:
        path = tmp_path / "key.pem"
        keys: dict[str, Any] = {
            "p384": ec.generate_private_key(ec.SECP384R1()), "rsa": rsa.generate_private_key(65537, 2048),
            "encrypted": ec.generate_private_key(ec.SECP256R1()),
        }  # fmt: skip
        if kind in keys:
            lock: KeySerializationEncryption = BestAvailableEncryption(b"x") if kind == "encrypted" else NoEncryption()
            path.write_bytes(keys[kind].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock))
        elif kind != "missing":
            path.write_bytes(b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n" * (kind == "public"))
        if path.exists():
            path.chmod(0o600)
        with pytest.raises(SettingsError, match=r"key\.pem"):
            FileSigner.read(path)


class TestDeploying:
    def test_a_stage_trusts_its_key_of_kms_from_the_first_deployment_on(
        self, ministack_endpoint: str, credentials: None
    ) -> None:
        aws = Aws(ministack_endpoint, REGION, ACCESS_KEY, SECRET_KEY)
        text = trust.trusted_keys(aws, "prod", None)
        key = trust.cloud_key(aws, "prod")
        assert (key.public.text, key.name[:12]) == (text, "kms:arn:aws:")
        made = kms(ministack_endpoint).describe_key(KeyId="alias/perennial-prod-signing-1")["KeyMetadata"]
        assert f"kms:{made['Arn']}" == key.name
        assert (made["KeySpec"], made["KeyUsage"]) == ("ECC_NIST_P256", "SIGN_VERIFY")

    def test_what_a_stage_trusts_stays_until_it_is_told_otherwise(
        self, ministack_endpoint: str, credentials: None
    ) -> None:
        aws = Aws(ministack_endpoint, REGION, ACCESS_KEY, SECRET_KEY)
        template = (
            '{"Parameters": {"TrustedKeys": {"Type": "String"}}, "Resources": {"Q": {"Type": "AWS::SQS::Queue"}}}'
        )
        aws.client("cloudformation").create_stack(
            StackName="perennial-kept", TemplateBody=template,
            Parameters=[{"ParameterKey": "TrustedKeys", "ParameterValue": "unsigned"}],
        )  # fmt: skip
        assert trust.trusted_keys(aws, "kept", None) == "unsigned"
        with pytest.raises(DeployError, match="TrustedKeys: key 1"):
            trust.trusted_keys(aws, "kept", "x")

    def test_of_two_who_make_the_local_key_one_stays(self, tmp_path: Path) -> None:
        path = tmp_path / "keys/signing.pem"
        first = trust.local_key(path)
        assert trust.local_key(path) == first
        assert [one.name for one in path.parent.iterdir()] == ["signing.pem"]
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
