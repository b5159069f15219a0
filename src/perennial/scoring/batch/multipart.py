"""Uploads in parts by boto3, which is imported with the first file that is large enough for one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from perennial.errors import StoreRefused, StoreUnavailable
from perennial.scoring.batch.outputs import Upload
from perennial.settings import LOCAL_CREDENTIALS, Settings

_REFUSED = frozenset({"AccessDenied", "NoSuchBucket", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"})
_THERE = frozenset({"PreconditionFailed", "ConditionalRequestConflict"})


class S3Uploads:
    """Uploads into the bucket of ``settings``. S3 may be silent for so many seconds before it is asked again."""

    def __init__(self, settings: Settings, silence: float = 60.0) -> None:
        self._settings, self._silence = settings, silence
        self._client: Any = None

    def begin(self, key: str, media_type: str) -> Upload:
        """Raises StoreUnavailable where S3 does not answer, or refuses."""
        if self._client is None:
            self._client = _client(self._settings, self._silence)
        return _S3Upload(self._client, self._settings.bucket, key, media_type)


class _S3Upload:
    def __init__(self, client: Any, bucket: str, key: str, media_type: str) -> None:
        self._client, self._place = client, {"Bucket": bucket, "Key": key}
        with _s3_errors(key):
            begun = client.create_multipart_upload(**self._place, ContentType=media_type, CacheControl="no-cache")
        self._upload = self._place | {"UploadId": begun["UploadId"]}
        self._parts: list[dict[str, Any]] = []

    def send(self, data: bytes) -> None:
        number = len(self._parts) + 1
        with _s3_errors(self._place["Key"]):
            sent = self._client.upload_part(**self._upload, PartNumber=number, Body=data)
        self._parts.append({"PartNumber": number, "ETag": sent["ETag"]})

    def complete(self) -> None:
        """Raises StoreUnavailable where the outcome is unknown."""
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client.complete_multipart_upload(
                **self._upload, MultipartUpload={"Parts": self._parts}, IfNoneMatch="*"
            )
        except (BotoCoreError, ClientError) as error:  # lost answers, and 409 though nothing landed: look what is there
            code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
            try:
                self._client.head_object(**self._place)
            except (BotoCoreError, ClientError):
                raise _meaning(self._place["Key"], error) from error
            if code in _THERE:
                self.abort()

    def abort(self) -> None:
        """What cannot be ended here is ended by the bucket's lifecycle."""
        from botocore.exceptions import BotoCoreError, ClientError

        with suppress(BotoCoreError, ClientError):
            self._client.abort_multipart_upload(**self._upload)


@contextmanager
def _s3_errors(key: str) -> Iterator[None]:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except (BotoCoreError, ClientError) as error:
        raise _meaning(key, error) from error


def _meaning(key: str, error: Exception) -> StoreUnavailable:
    text = " ".join(str(error).split())[:300]
    response = getattr(error, "response", {})
    if response.get("Error", {}).get("Code") in _REFUSED:
        return StoreRefused(f"{key}: {text}", remedy="Check the credentials, their permissions and the bucket.")
    return StoreUnavailable(f"{key}: {text}", remedy="Repeat it: that is safe.")


def _client(settings: Settings, silence: float) -> Any:
    import boto3
    from botocore.config import Config

    given = LOCAL_CREDENTIALS if settings.emulated and not boto3.Session().get_credentials() else {}
    return boto3.client(
        "s3",
        region_name=settings.region,
        endpoint_url=settings.aws_endpoint_url,
        config=Config(retries={"mode": "standard", "max_attempts": 4}, connect_timeout=5, read_timeout=silence),
        **{name.lower(): value for name, value in given.items()},
    )
