"""Whose signatures a stack trusts: on this machine those of a key file, in the cloud those of a key of KMS.

The public keys go into the configuration of the functions, which nobody who can only write to the bucket can change.
"""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from perennial.deploy.aws import Aws, aws_errors
from perennial.deploy.package import ROOT
from perennial.errors import DeployError, SigningUnavailable
from perennial.jobs.signers import FileSigner, kms_public_key, new_key_file
from perennial.trust import PublicKey, TrustedKeys

TEMPLATE = ROOT / "infra/signing.yaml"
LOCAL_KEY = ROOT / ".local/keys/signing.pem"
PARAMETER, SIGNS = "TrustedKeys", "SigningKeyArn"


@dataclass(frozen=True)
class SigningKey:
    """A key that signs, as ``PERENNIAL_SIGNING_KEY`` names it, and its public part."""

    name: str
    public: PublicKey


def local_key(path: Path = LOCAL_KEY) -> SigningKey:
    """The key file of the stacks on this machine, made where there is none; of two who make it, one key stays."""
    if not path.exists():
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        new_key_file(draft)
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return SigningKey(str(path), FileSigner.read(path).public_key())


def check_not_of_this_machine(given: str, path: Path = LOCAL_KEY) -> None:
    """A stage on AWS does not come to trust the key of ``make up`` by what ``perennial env`` left in a shell.

    Raises:
        DeployError: ``given`` names that key; or its file cannot be read.
    """
    if path.exists() and FileSigner.read(path).public_key().text in given.split(","):
        raise DeployError(
            f"{PARAMETER} names the key of `make up`, {path}, which is for this machine.",
            remedy="`unset PERENNIAL_TRUSTED_KEYS PERENNIAL_SIGNING_KEY` ends what `perennial env` began; without "
            "them a stage gets a key of KMS.",
        )


def cloud_key(aws: Aws, stage: str) -> SigningKey:
    """The key of KMS that signs for a stage; made, by a stack of its own, where there is none.

    Raises:
        DeployError: CloudFormation or KMS refused or failed.
    """
    from perennial.deploy.stack import apply_stack

    with aws_errors():
        outputs = apply_stack(aws, f"perennial-{stage}-signing", TEMPLATE.read_text(), {"Stage": stage})
        arn = outputs[SIGNS]
        try:
            return SigningKey(f"kms:{arn}", kms_public_key(aws.client("kms"), arn))
        except SigningUnavailable as error:
            raise DeployError(error.message, remedy=error.remedy) from error


def trusted_keys(aws: Aws, stage: str, given: str | None) -> str:
    """What a stage is deployed to trust: the keys given, else those it trusts already, else that of its key of KMS.

    Raises:
        DeployError: the keys given are malformed; or as ``cloud_key``.
    """
    if given is not None:
        try:
            TrustedKeys.parse(given)
        except ValueError as error:
            raise DeployError(f"{PARAMETER}: {error}.", remedy="`perennial keys show` writes a key.") from error
        return given
    with aws_errors():
        present = _present(aws.client("cloudformation"), f"perennial-{stage}")
    return present or cloud_key(aws, stage).public.text


def signing_arn(aws: Aws, stage: str) -> str | None:
    """The ARN of the KMS key that signs for a stage; None where no stack of ``infra/signing.yaml`` made one.

    Raises:
        DeployError: CloudFormation refused.
    """
    with aws_errors():
        stack = _stack(aws.client("cloudformation"), f"perennial-{stage}-signing")
    return next((one["OutputValue"] for one in (stack or {}).get("Outputs", []) if one["OutputKey"] == SIGNS), None)


def _present(cloudformation: Any, name: str) -> str | None:
    """What a stack trusts now; None where there is no such stack, or it was deployed before there was trust."""
    stack = _stack(cloudformation, name) or {}
    values = {one["ParameterKey"]: one["ParameterValue"] for one in stack.get("Parameters", [])}
    return values.get(PARAMETER) or None


def _stack(cloudformation: Any, name: str) -> dict[str, Any] | None:
    from botocore.exceptions import ClientError

    try:
        found: dict[str, Any] = cloudformation.describe_stacks(StackName=name)["Stacks"][0]
    except ClientError as error:
        if error.response["Error"]["Code"] == "ValidationError":  # so CloudFormation says that there is none
            return None
        raise
    return found
