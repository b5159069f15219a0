"""Bring up a whole local stack: package, emulator, deployment, form; and end it again."""

from __future__ import annotations

import base64
import gzip
import json
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from perennial.deploy.aws import Aws, aws_errors
from perennial.deploy.emulator import Emulator
from perennial.deploy.form import build_form
from perennial.deploy.ministack import ACCESS_KEY, REGION, SECRET_KEY, MiniStack, interpreter
from perennial.deploy.package import ROOT, build_packages
from perennial.deploy.site import publish
from perennial.deploy.stack import Deployed, deploy
from perennial.deploy.trust import PARAMETER, local_key
from perennial.errors import DeployError
from perennial.serving.presign import upload_address
from perennial.settings import VARIABLES

Progress = Callable[[str], None]

TEMPLATE = ROOT / "template.yaml"
BUILD = ROOT / ".local/build"
FIRST_ANSWER_SECONDS = 60.0


@dataclass(frozen=True)
class LocalStack:
    """A deployed stack on an emulator, and how to reach it."""

    endpoint_url: str
    region: str
    access_key: str
    secret_key: str
    bucket: str
    site_bucket: str
    function: str
    capture: str
    score: str
    api_url: str
    site_url: str
    topic_arn: str
    landing_queue: str
    scoring_queue: str
    scoring_dead_queue: str
    trusted_keys: str
    signing_key: str

    def environment(self) -> dict[str, str]:
        """The variables under which every part of Perennial, and any AWS SDK, works on this stack."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "PERENNIAL_BUCKET": self.bucket,
            "PERENNIAL_API_URL": self.api_url,
            "PERENNIAL_SITE_URL": self.site_url,
            "PERENNIAL_SITE_BUCKET": self.site_bucket,
            "PERENNIAL_TOPIC_ARN": self.topic_arn,
            "PERENNIAL_LANDING_QUEUE": self.landing_queue,
            "PERENNIAL_SCORING_QUEUE": self.scoring_queue,
            "PERENNIAL_SCORING_DEAD_QUEUE": self.scoring_dead_queue,
            "PERENNIAL_TRUSTED_KEYS": self.trusted_keys,
            "PERENNIAL_SIGNING_KEY": self.signing_key,
        }

    def inhabit(self, env: Mapping[str, str]) -> dict[str, str]:
        """``env`` with this stack in place of any other: no variable of AWS or of our settings is left over in it."""
        return {name: value for name, value in env.items() if not names_a_stack(name)} | self.environment()

    def aws(self) -> Aws:
        """Where boto3 clients of this stack come from."""
        return Aws(self.endpoint_url, self.region, self.access_key, self.secret_key)


@contextmanager
def running_stack(
    folder: Path | None = None,
    *,
    emulator: Callable[[Path], Emulator] = MiniStack,
    site: bool = True,
    parameters: Mapping[str, str] | None = None,
    progress: Progress = lambda line: None,
) -> Iterator[LocalStack]:
    """A stack of its own for the length of a block: nothing is shared with another, nothing is left behind.

    ``folder`` takes the files of the ``emulator`` that is made there (a new one under ``.local`` if None);
    ``site`` builds and publishes the form too; ``parameters`` are those of ``template.yaml``.

    Raises:
        DeployError: a part could not be built, started or deployed.
    """
    own = folder is None
    BUILD.mkdir(parents=True, exist_ok=True)
    folder = folder or Path(tempfile.mkdtemp(prefix="stack-", dir=BUILD))
    try:
        with emulator(folder) as running:
            yield bring_up(running.aws, python=running.python, site=site, parameters=parameters, progress=progress)
    finally:
        if own:
            shutil.rmtree(folder, ignore_errors=True)


def names_a_stack(name: str) -> bool:
    """Whether an environment variable says which stack, account or endpoint to work on, or how."""
    return name in VARIABLES.values() or (name.startswith("AWS_") and name != "AWS_CA_BUNDLE")


def embedded(endpoint_url: str) -> Aws:
    """The embedded emulator, under its root credentials."""
    return Aws(endpoint_url, REGION, ACCESS_KEY, SECRET_KEY)


def bring_up(
    aws: Aws,
    *,
    python: Path | None = None,
    site: bool = True,
    parameters: Mapping[str, str] | None = None,
    progress: Progress = lambda line: None,
) -> LocalStack:
    """Package, deploy and publish at an emulator's endpoint, and see that the API answers.

    ``python`` is the interpreter that runs its Lambda functions.
    """
    assert aws.endpoint_url is not None
    started = time.monotonic()
    python = python or interpreter()
    # Emulators may run different Pythons; each keeps its packages, so that none is built anew in turns.
    folder = BUILD if python == interpreter() else BUILD / python.parents[1].name
    packages = build_packages("local", folder, python=python)
    sizes = ", ".join(f"{name} {package.megabytes:.0f} MB" for name, package in packages.items())
    progress(f"Packaged the functions in {time.monotonic() - started:.1f} s: {sizes}")
    started = time.monotonic()
    key = local_key()
    trusted = {PARAMETER: key.public.text} | dict(parameters or {})
    deployed = deploy(aws, packages, TEMPLATE, parameters=trusted)
    progress(f"Deployed template.yaml in {time.monotonic() - started:.1f} s")
    if site:
        uploads = upload_address(aws.settings(deployed.bucket))
        count = publish(aws.client("s3"), deployed.site_bucket, build_form(), deployed.api_url, uploads)
        progress(f"Published the form: {count} files")
    started = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        capture = pool.submit(_await_capture, aws, deployed)
        _await_answer(deployed)
        capture.result()
    progress(f"The API answered after {time.monotonic() - started:.1f} s")
    return _local(aws, deployed, trusted[PARAMETER], key.name)


def _local(aws: Aws, deployed: Deployed, trusted_keys: str, signing_key: str) -> LocalStack:
    assert aws.endpoint_url is not None
    return LocalStack(
        endpoint_url=aws.endpoint_url,
        region=aws.region,
        access_key=aws.access_key or "",
        secret_key=aws.secret_key or "",
        trusted_keys=trusted_keys,
        signing_key=signing_key,
        **vars(deployed),
    )


def _await_capture(aws: Aws, deployed: Deployed) -> None:
    """As CloudWatch Logs tries the way: shows a broken package, and starts the function before a burst does."""
    packed = base64.b64encode(gzip.compress(b'{"messageType":"CONTROL_MESSAGE"}')).decode()
    with aws_errors():
        payload = json.dumps({"awslogs": {"data": packed}})
        answer = aws.client("lambda").invoke(FunctionName=deployed.capture, Payload=payload)
        said = answer["Payload"].read(300).decode(errors="replace")
    if answer.get("FunctionError"):
        raise DeployError(f"{deployed.capture}: {said}")


def _await_answer(deployed: Deployed) -> None:
    """The first request starts the function; whatever is wrong with its package shows here."""
    address = f"{deployed.api_url}/health"
    try:
        with urllib.request.urlopen(address, timeout=FIRST_ANSWER_SECONDS) as response:  # noqa: S310
            response.read()
    except urllib.error.HTTPError as error:
        raise DeployError(f"{address}: answered {error.code}: {error.read(300).decode(errors='replace')}") from error
    except OSError as error:
        raise DeployError(f"{address}: no answer: {error}") from error
