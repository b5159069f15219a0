"""Links by which a client puts one file into the bucket, or gets one, without credentials of its own.

AWS Signature Version 4 by hand: a form for the upload, whose policy S3 itself enforces (key, size, end), and an
address for the download. Nothing is asked of AWS for either. Who holds a link can use it until it ends, or until the
credentials end that it was signed with, whichever is first.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, urlsplit

from perennial.errors import SettingsError
from perennial.settings import LOCAL_CREDENTIALS, Settings

ALGORITHM = "AWS4-HMAC-SHA256"
LONGEST = timedelta(days=7)
"""What AWS gives a signature at most."""
_USUAL_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class AwsKeys:
    """Whose name a link is signed in. ``token`` goes with the keys of a role's session."""

    access: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)

    @classmethod
    def find(cls, settings: Settings, env: Mapping[str, str]) -> AwsKeys:
        """The keys of the environment as they are now: a function's are renewed while it lives.

        Raises:
            SettingsError: there are none. Those of a profile are not looked for.
        """
        access, secret = env.get("AWS_ACCESS_KEY_ID"), env.get("AWS_SECRET_ACCESS_KEY")
        if access and secret:
            return cls(access, secret, env.get("AWS_SESSION_TOKEN") or None)
        if settings.emulated:
            return cls(LOCAL_CREDENTIALS["AWS_ACCESS_KEY_ID"], LOCAL_CREDENTIALS["AWS_SECRET_ACCESS_KEY"])
        raise SettingsError(
            "There are no AWS keys in the environment to sign links with.",
            remedy="Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_SESSION_TOKEN where they have one: "
            '`eval "$(aws configure export-credentials --format env)"` gives those of a profile.',
        )


@dataclass(frozen=True)
class Form:
    """An upload: ``fields`` go before the file, in a POST of ``multipart/form-data`` to ``url``."""

    url: str
    fields: Mapping[str, str]


class Links:
    """Signs links to the objects of one bucket."""

    def __init__(self, settings: Settings, env: Mapping[str, str] = os.environ) -> None:
        self._settings, self._env = settings, env
        self._origin, self._folder = _place(settings)

    def upload(self, key: str, max_bytes: int, *, now: datetime, lasting: timedelta) -> Form:
        """A form that puts a file of at most ``max_bytes`` under exactly this key, if it is sent within ``lasting``.

        Raises:
            SettingsError: there are no keys to sign with.
        """
        signature = self._signature(now)
        named = {name.lower(): value for name, value in signature.parameters.items()}
        fixed = {"bucket": self._settings.bucket, "key": key, **named}
        conditions = [["content-length-range", 0, max_bytes], *({name: value} for name, value in fixed.items())]
        policy = {"expiration": f"{_utc(now + min(lasting, LONGEST)):%Y-%m-%dT%H:%M:%SZ}", "conditions": conditions}
        encoded = base64.b64encode(json.dumps(policy).encode()).decode()
        fields = {"key": key, **named, "policy": encoded, "x-amz-signature": signature.of(encoded)}
        return Form(upload_address(self._settings), fields)

    def download(self, key: str, *, now: datetime, lasting: timedelta, disposition: str, media_type: str) -> str:
        """An address that gives the object for ``lasting``, under these headers Content-Disposition and Content-Type.

        Raises:
            SettingsError: there are no keys to sign with.
        """
        signature = self._signature(now)
        parameters = {
            **signature.parameters,
            "X-Amz-Expires": str(int(min(lasting, LONGEST).total_seconds())),
            "X-Amz-SignedHeaders": "host",
            "response-content-disposition": disposition,
            "response-content-type": media_type,
        }
        pairs = sorted((name, quote(value, safe="")) for name, value in parameters.items())
        query = "&".join(f"{name}={value}" for name, value in pairs)
        path = f"{self._folder}/{quote(key)}"
        host = self._origin.partition("://")[2]
        request = f"GET\n{path}\n{query}\nhost:{host}\n\nhost\nUNSIGNED-PAYLOAD"
        digest = hashlib.sha256(request.encode()).hexdigest()
        signed = signature.of(f"{ALGORITHM}\n{signature.stamp}\n{signature.scope}\n{digest}")
        return f"{self._origin}{path}?{query}&X-Amz-Signature={signed}"

    def _signature(self, now: datetime) -> _Signature:
        return _Signature(AwsKeys.find(self._settings, self._env), self._settings.region, now)


def upload_address(settings: Settings) -> str:
    """Where the form of :meth:`Links.upload` sends a file: what a page that uploads has to be allowed to call."""
    origin, folder = _place(settings)
    return origin + (folder or "/")


class _Signature:
    """Signs texts for S3 in one region, by the keys of one moment."""

    def __init__(self, keys: AwsKeys, region: str, now: datetime) -> None:
        self.stamp = f"{_utc(now):%Y%m%dT%H%M%SZ}"
        self.scope = f"{self.stamp[:8]}/{region}/s3/aws4_request"
        self.parameters = {
            "X-Amz-Algorithm": ALGORITHM,
            "X-Amz-Credential": f"{keys.access}/{self.scope}",
            "X-Amz-Date": self.stamp,
        } | ({"X-Amz-Security-Token": keys.token} if keys.token else {})
        self._secret = keys.secret

    def of(self, text: str) -> str:
        found = f"AWS4{self._secret}".encode()
        for part in (*self.scope.split("/"), text):
            found = hmac.digest(found, part.encode(), "sha256")
        return found.hex()


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _place(settings: Settings) -> tuple[str, str]:
    """Scheme and host of the bucket as a client's request names them, and the path before the key."""
    bucket = settings.bucket
    if settings.aws_endpoint_url:
        address = urlsplit(settings.aws_endpoint_url)
        usual = address.port is None or address.port == _USUAL_PORTS.get(address.scheme)
        host = f"[{address.hostname}]" if ":" in (address.hostname or "") else address.hostname
        origin = f"{address.scheme}://{host}" + ("" if usual else f":{address.port}")
        return origin, f"{address.path.rstrip('/')}/{bucket}"
    suffix = "amazonaws.com.cn" if settings.region.startswith("cn-") else "amazonaws.com"
    host = f"s3.{settings.region}.{suffix}"
    if "." in bucket:  # no certificate of S3 is for a name with more dots
        return f"https://{host}", f"/{bucket}"
    return f"https://{bucket}.{host}", ""
