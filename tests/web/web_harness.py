"""What the browser tests stand on: the built site, published by the product's own code, and the real API."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from obstore.store import S3Store

from lambdas.api.app import create_app
from perennial.deploy.form import build_form, node_path
from perennial.deploy.site import publish
from perennial.settings import Settings
from perennial.store import Store

ROOT = Path(__file__).parents[2]
FRONTEND = ROOT / "frontend"
BUCKET = "browser-tests"


def npm(*arguments: str) -> str:
    """Run npm in ``frontend``; returns what it printed. Raises AssertionError with it where npm failed."""
    done = subprocess.run(
        ["npm", *arguments],
        cwd=FRONTEND,
        env=os.environ | {"PATH": node_path()},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, f"npm {' '.join(arguments)} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@dataclass
class Api:
    """The real application on a port of its own, which it keeps when stopped and started again.

    ``endpoint`` is where its links say the bucket is.
    """

    store: Store
    origin: str
    port: int
    endpoint: str | None = None
    upload_bytes: int = 1_000_000_000
    _server: uvicorn.Server | None = None
    _thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        # No time between two looks at the alias, so that a promotion is seen by the next request.
        settings = Settings(
            bucket=BUCKET,
            refresh_seconds=0,
            allowed_origin=self.origin,
            aws_endpoint_url=self.endpoint,
            upload_bytes=self.upload_bytes,
        )
        app = create_app(settings, self.store)
        config = uvicorn.Config(app, host="127.0.0.1", port=self.port, log_level="error", lifespan="off")
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run, daemon=True)
        self._thread.start()
        wait_for(lambda: self._server is not None and self._server.started, "the API to start")

    def stop(self) -> None:
        if self._server is not None and self._thread is not None:
            self._server.should_exit = self._server.force_exit = True
            self._thread.join(10)
            self._server = self._thread = None


@dataclass(frozen=True)
class SiteHost:
    """An S3 endpoint that serves what is published to it, each site in a bucket of its own."""

    origin: str
    s3: Any

    def store(self, page: str) -> Store:
        """The bucket that a published page stands in, as the steps of a run write to it."""
        bucket = page.split("/")[-2]
        raw = S3Store(
            bucket, endpoint=self.origin, region="us-east-1", virtual_hosted_style_request=False,
            access_key_id="test", secret_access_key="test", client_options={"allow_http": True},
        )  # fmt: skip
        return Store(raw)

    def publish(self, api_url: str, dist: Path | None = None, uploads: str = "https://uploads.example/") -> str:
        """Publish the built site for one API with the code that deploys it; returns the form's address."""
        bucket = f"site-{uuid.uuid4().hex[:12]}"
        self.s3.create_bucket(Bucket=bucket)
        self.s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(_open_to_read(bucket)))
        publish(self.s3, bucket, dist or build_form(), api_url, uploads)
        return f"{self.origin}/{bucket}/index.html"


@contextmanager
def site_host() -> Iterator[SiteHost]:
    """moto's S3 over HTTP on a free port: no conditional write is asked of it here, it only keeps and serves files."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    origin = f"http://{host}:{port}"
    keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test"}
    try:
        yield SiteHost(origin, boto3.client("s3", endpoint_url=origin, region_name="us-east-1", **keys))
    finally:
        server.stop()


@contextmanager
def serving(store: Store, origin: str, **settings: Any) -> Iterator[Api]:
    """The real API over ``store``, open to the pages of ``origin``."""
    api = Api(store, origin, free_port(), **settings)
    api.start()
    try:
        yield api
    finally:
        api.stop()


def origin_of(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(done: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    limit = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < limit, f"Waited {seconds} s for {what}."
        time.sleep(0.02)


def _open_to_read(bucket: str) -> dict[str, Any]:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{bucket}/*"}
    return {"Version": "2012-10-17", "Statement": [statement]}
