"""The bucket that the settings name: its endpoint, how long S3 is waited for, and where credentials come from."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from obstore.store import S3Store

from perennial.errors import SettingsError
from perennial.settings import LOCAL_CREDENTIALS, Settings
from perennial.store import Store
from perennial.store_faults import reason

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


def is_object(bucket: str, key: str) -> bool:
    """Whether a bucket of S3 may have this name, and an object in it this key.

    What is no bucket's name would become part of the address that is asked, and of a key with empty parts or dots
    another object would be read.
    """
    return bool(_BUCKET.fullmatch(bucket)) and not any(part in ("", ".", "..") for part in key.split("/"))


@dataclass(frozen=True)
class Patience:
    """How long S3 is waited for, in seconds.

    ``request`` bounds one attempt of a request to its last byte, ``silence`` the time in which none arrives.
    Another attempt is made up to ``retries`` times, as long as ``retrying`` has not gone by.
    """

    request: float = 30.0
    silence: float = 30.0
    retries: int = 3
    retrying: float = 20.0


def open_store(settings: Settings, *, client_timeout: float = 30.0, patience: Patience | None = None) -> Store:
    """The bucket of ``settings``, at its endpoint, with the trust they name; credentials come from the usual places.

    ``client_timeout`` is short for a ``patience`` of which only ``request`` is not the usual.

    Raises:
        SettingsError: there are no credentials.
    """
    patience = patience or Patience(request=client_timeout)
    options: dict[str, Any] = {
        "region": settings.region,
        "client_options": {
            "timeout": timedelta(seconds=patience.request),
            "connect_timeout": timedelta(seconds=min(5.0, patience.silence)),
            "read_timeout": timedelta(seconds=patience.silence),
        },
        "retry_config": {"max_retries": patience.retries, "retry_timeout": timedelta(seconds=patience.retrying)},
    }
    if settings.aws_endpoint_url:
        options["endpoint"] = settings.aws_endpoint_url
        options["virtual_hosted_style_request"] = False
        options["client_options"]["allow_http"] = settings.aws_endpoint_url.startswith("http://")
    return Store(S3Store(settings.bucket, **options, **_credentials(settings)), trust=settings.trust)


def _credentials(settings: Settings) -> dict[str, Any]:
    """Static and container credentials are obstore's own affair; profiles and SSO need boto3's chain."""
    if settings.emulated and not os.environ.get("AWS_ACCESS_KEY_ID"):
        return {name.lower().removeprefix("aws_"): value for name, value in LOCAL_CREDENTIALS.items()}
    own = ("AWS_ACCESS_KEY_ID", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_WEB_IDENTITY_TOKEN_FILE")
    if any(os.environ.get(name) for name in own):
        return {}
    try:
        from botocore.exceptions import BotoCoreError
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:  # no boto3 here: obstore asks the instance metadata service
        return {}
    try:
        return {"credential_provider": Boto3CredentialProvider()}
    except (ValueError, BotoCoreError) as error:
        raise SettingsError(
            f"There are no AWS credentials: {reason(error).rstrip('.')}.",
            remedy="Set AWS_PROFILE or AWS_ACCESS_KEY_ID and its secret; for a local stack, see `perennial env`.",
        ) from error
