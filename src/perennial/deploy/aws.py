"""The way to AWS, or to what stands in for it: clients, and their failures as one line."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

from perennial.errors import DeployError
from perennial.settings import Settings

_CREDENTIALS = "Set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, of the account to deploy to."
_EMULATOR = "Is it running? Is AWS_ENDPOINT_URL right?"
_REFUSED_CREDENTIALS = frozenset(
    {
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "ExpiredToken",
        "SignatureDoesNotMatch",
        "InvalidAccessKeyId",
    }
)


@dataclass(frozen=True)
class Aws:
    """Where to deploy. Without ``endpoint_url``: AWS itself, with the usual credentials."""

    endpoint_url: str | None = None
    region: str = "us-east-1"
    access_key: str | None = None
    secret_key: str | None = None

    def settings(self, bucket: str) -> Settings:
        """The settings under which the parts of a stack here find its ``bucket``."""
        return Settings(bucket=bucket, aws_endpoint_url=self.endpoint_url, region=self.region)

    def client(self, service: str) -> Any:
        """A boto3 client, made when first needed."""
        import boto3
        from botocore.session import Session

        # Keys that are given need no file and no profile, which may not even exist where an emulator is all there is.
        nothing = dict.fromkeys(("config_file", "credentials_file"), (None, None, os.devnull, None))
        alone = {"profile": (None, None, None, None)} | nothing if self.access_key else None
        with aws_errors():
            session = Session(alone)
            session.register_component("data_loader", descriptions())
            return boto3.Session(botocore_session=session).client(
                service,
                endpoint_url=self.endpoint_url,
                region_name=self.region,
                aws_access_key_id=self.access_key,
                aws_secret_access_key=self.secret_key,
            )


@cache
def descriptions() -> Any:
    """What botocore reads of its services from files, most of what a client takes to be made, once a process."""
    from botocore.loaders import create_loader

    return create_loader()


@contextmanager
def aws_errors() -> Iterator[None]:
    """What boto3 raises within the block, as one line: what AWS or the way to it said, and the remedy.

    Raises:
        DeployError: boto3 raised.
    """
    from boto3.exceptions import Boto3Error
    from botocore import exceptions as found

    try:
        yield
    except (found.NoCredentialsError, found.PartialCredentialsError, found.ProfileNotFound) as error:
        raise DeployError(f"{error}.", remedy=_CREDENTIALS) from error
    except found.EndpointConnectionError as error:
        aws = ".amazonaws." in str(error)
        remedy = "Is this machine online, and has AWS that service in this region?" if aws else _EMULATOR
        raise DeployError(f"{str(error).rstrip('.')}.", remedy=remedy) from error
    except found.ClientError as error:
        refused = error.response.get("Error", {}).get("Code") in _REFUSED_CREDENTIALS
        raise DeployError(f"{_one_line(error)}.", remedy=_CREDENTIALS if refused else None) from error
    except (found.BotoCoreError, Boto3Error) as error:
        raise DeployError(f"{_one_line(error)}.") from error


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()).rstrip(".")[:400]


def account(aws: Aws) -> str:
    """The number of the account that the credentials belong to.

    Raises:
        DeployError: there are none, or they are refused.
    """
    with aws_errors():
        return str(aws.client("sts").get_caller_identity()["Account"])
