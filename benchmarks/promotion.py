"""From a promotion to the first request that its version answers: requests of the old version after the refresh.

`python -m benchmarks.promotion` lets the API's handler answer one request after the other in a process of its own, by
a local S3, and promotes one of two versions after the other meanwhile, at any moment of the refresh interval. A server
looks for another champion at most so often; what is counted are requests that began once that time was over since the
promotion was acknowledged, and that the old version answered all the same. The interval is real, and shorter than by
default, so that many promotions fit into a run.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import boto3

from benchmarks import mixed
from benchmarks.figures import Beside, Figure, Key, add_options, write
from benchmarks.measuring import local_s3, spread
from benchmarks.mixed_models import BUCKET, ROWS, publish
from benchmarks.mixed_spec import MODEL, make_spec
from benchmarks.serving_start import event_of
from perennial.registry.registry import Registry
from perennial.settings import VARIABLES, Settings
from perennial.store import Store
from perennial.store_opening import open_store

ROOT = Path(__file__).parents[1]
PROCESS = Path(__file__).with_name("promotion_process.py")
COMMAND = "python -m benchmarks.promotion"
REFRESH = 1.0
PAUSE = 0.002
PROMOTIONS, FEWER = 20, 5
SEED = 0

Asked = tuple[float, str]


@dataclass(frozen=True)
class Promotion:
    """``version`` was acknowledged as champion at ``done``, in seconds of the monotonic clock."""

    version: str
    done: float


@dataclass(frozen=True)
class Followed:
    """How a server followed a promotion: ``late`` requests of the old version after the refresh; ``seconds`` until
    the first request that the new version answered began."""

    late: int
    seconds: float


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog=COMMAND, description=__doc__)
    parser.add_argument("--promotions", type=int, help=f"{PROMOTIONS} by default, {FEWER} with --short")
    add_options(parser)
    options = parser.parse_args(arguments)
    count = options.promotions or (FEWER if options.short else PROMOTIONS)
    with tempfile.TemporaryDirectory() as name, local_s3() as endpoint:
        store = open_bucket(endpoint)
        with serving(Path(name), endpoint) as report:
            promotions = promote(store, count, random.Random(SEED))
        asked = [(float(began), str(version)) for began, version in json.loads(report.read_text())]
    followed = [how_followed(one, asked) for one in promotions]
    figure, beside = summarise(followed, len(asked))
    print(f"{figure.sides}\n{beside[0].name}: {beside[0].text}\n{figure.key}: {figure.value:g}")
    write(options.figures, [figure], beside)
    return 0


def open_bucket(endpoint: str) -> Store:
    """A bucket with a model in it that serves."""
    client = boto3.client(
        "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test"
    )
    client.create_bucket(Bucket=BUCKET)
    store = open_store(Settings(bucket=BUCKET, aws_endpoint_url=endpoint))
    publish(store, make_spec(MODEL), *mixed.records(ROWS))
    return store


@contextmanager
def serving(folder: Path, endpoint: str) -> Iterator[Path]:
    """A server under steady requests while it is open; afterwards its report lies there."""
    report, plan = folder / "report.json", folder / "plan.json"
    event = event_of(f"/models/{MODEL}/predict")
    plan.write_text(json.dumps({"path": [str(ROOT)], "event": event, "pause": PAUSE, "report": str(report)}))
    environment = {
        "PATH": os.environ["PATH"], "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_LAMBDA_FUNCTION_NAME": "benchmark",
        VARIABLES["bucket"]: BUCKET, VARIABLES["refresh_seconds"]: str(REFRESH),
    }  # fmt: skip
    command = [sys.executable, "-I", str(PROCESS), str(plan)]
    with subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"serving\n"
        yield report
        process.stdin.close()
        if process.wait(60):
            raise SystemExit(f"the server ended with {process.returncode}")


def promote(store: Store, count: int, chance: random.Random) -> list[Promotion]:
    """Promote a version and its twin in turns, each at some moment of the interval after the one before was served."""
    registry = Registry(store)
    head = registry.head(MODEL)
    assert head is not None
    champion = registry.manifest(MODEL, head.version)
    twin = champion.model_copy(update={"run": "again"})
    registry.publish(twin, {name: registry.file(champion, name) for name in champion.files})
    found = []
    for number in range(count):
        version = (twin, champion)[number % 2].version
        time.sleep(chance.uniform(0, REFRESH))
        registry.promote(
            MODEL, version, op_id=f"promotion {number}", actor="benchmark", reason="", now=datetime.now(UTC)
        )
        found.append(Promotion(version, time.monotonic()))
        time.sleep(2 * REFRESH)
    return found


def how_followed(promotion: Promotion, asked: list[Asked]) -> Followed:
    """Look up a promotion among all requests, told by when they began and who answered.

    Raises:
        SystemExit: it was not followed within the interval and as much again, or no request began in that time.
    """
    end = promotion.done + 2 * REFRESH
    since = [(began, version == promotion.version) for began, version in asked if promotion.done <= began < end]
    first = next((began for began, new in since if new), None)
    if first is None:
        raise SystemExit(f"{promotion.version} was not served within {2 * REFRESH:g} s, by {len(since)} requests")
    late = sum(1 for began, new in since if began >= promotion.done + REFRESH and not new)
    return Followed(late, first - promotion.done)


def summarise(followed: list[Followed], requests: int) -> tuple[Figure, list[Beside]]:
    worst = max(one.late for one in followed)
    seconds = spread([one.seconds for one in followed])
    late = sum(one.late > 0 for one in followed)
    sides = f"worst of {len(followed)} promotions; {late} of them with any; {requests:,} requests"
    includes = (
        "requests that the old version answered although they began later than the refresh interval after the "
        "promotion was acknowledged; the API's handler in a process, one request after the other, local S3; the "
        f"interval is {REFRESH:g} s here, 15 s by default"
    )
    taken = "{median:.2f} s ({low:.2f} to {high:.2f})".format(**seconds)
    longest = max(one.seconds for one in followed)
    text = f"{taken}, at most {longest:.2f} s, where a server looks every {REFRESH:g} s"
    beside = [Beside("promotion acknowledged to first request by the new version", text, COMMAND)]
    return Figure(Key.PROMOTION, worst, sides, includes, COMMAND), beside


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
