"""Whether a deployed stage works, as its users would see it: what is run after each deployment.

Nothing is written but the log line of each prediction. A route that asks for credentials is to refuse who has none.
"""

from __future__ import annotations

import json
import math
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from html.parser import HTMLParser
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, urljoin

from perennial.deploy.aws import Aws
from perennial.deploy.example import example_of
from perennial.deploy.ours import find_stack, stack_name
from perennial.deploy.stack import deployed
from perennial.errors import SmokeTestError

PATIENCE_SECONDS = 60.0
PAUSE_SECONDS = 1.0
ANSWER_SECONDS = 30.0
REFUSED = frozenset({401, 403})

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Site:
    """What is asked: the addresses of the API and of the page, and which routes ask for credentials."""

    api_url: str
    page_url: str
    reading_open: bool = True
    prediction_open: bool = True


@dataclass(frozen=True)
class Answer:
    """What came back of one request."""

    url: str
    status: int
    media_type: str
    body: bytes

    @property
    def json(self) -> Any:
        """The body as JSON. Raises SmokeTestError: it is none."""
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise SmokeTestError(f"{self.url}: answered no JSON.") from error

    def expect(self, *statuses: int) -> Answer:
        """This one, if its status is one of these. Raises SmokeTestError."""
        if self.status not in statuses:
            text = " ".join(self.body[:200].decode(errors="replace").split())
            raise SmokeTestError(f"{self.url}: answered {self.status}, not {statuses[0]}: {text}")
        return self


def site_of(aws: Aws, stage: str) -> Site:
    """What there is to ask of a deployed stage. Raises DeployError: it is not deployed."""
    stack = deployed(aws, stage)
    found = find_stack(aws, stack_name(stage))
    parameters = found.parameters if found else {}
    return Site(
        stack.api_url,
        stack.site_url,
        reading_open=parameters.get("ReadingAccess", "open") == "open",
        prediction_open=parameters.get("PredictionAccess", "open") == "open",
    )


def smoke(site: Site, say: Progress, *, models: Collection[str] = (), patience: float = PATIENCE_SECONDS) -> None:
    """Ask the API whether it is alive and ready, and every model (or ``models``) for a prediction; load the page.

    ``say`` gets a line for each that is right. ``patience`` in seconds is how long the API may take to come up.

    Raises:
        SmokeTestError: one is not; names the address and what it answered.
    """
    _await_health(f"{site.api_url}/health", patience)
    say(f"{site.api_url}/health: alive")
    if not site.reading_open:
        _ask(f"{site.api_url}/models").expect(*REFUSED)
        say("/models: refuses who has no credentials; what is served cannot be asked for here")
    else:
        served = _served(site.api_url, models, say)
        for model, version in served.items():
            say(_predict(site, model, version))
    _load(site.page_url)
    say(f"{site.page_url}: loads, with all that it names")


def _await_health(url: str, patience: float) -> None:
    deadline = time.monotonic() + patience
    while True:
        try:
            if _ask(url).expect(200).json.get("status") != "ok":
                raise SmokeTestError(f"{url}: does not say that it is alive.")
            return
        except SmokeTestError:
            if time.monotonic() > deadline:
                raise
        time.sleep(PAUSE_SECONDS)


def _served(api_url: str, models: Collection[str], say: Progress) -> Mapping[str, str]:
    """The models to ask, each ready, with their versions."""
    answer = _ask(f"{api_url}/ready").expect(200, 503)
    states = {str(one["name"]): one for one in answer.json["models"] if not models or one["name"] in models}
    if missing := sorted(set(models) - states.keys()):
        raise SmokeTestError(f"{answer.url}: does not know {', '.join(missing)}.")
    for name, state in states.items():
        if state["status"] == "unavailable":
            raise SmokeTestError(f"{answer.url}: {name} is unavailable: {json.dumps(state.get('failure'))}")
    if not states:
        say(f"{answer.url}: no model is deployed yet, so none is asked")
        return {}
    known = _ask(f"{api_url}/models").expect(200).json["models"]
    say(f"{answer.url}: {len(states)} of {len(states)} models are ready")
    return {str(one["name"]): str(one["version"]) for one in known if one["name"] in states}


def _predict(site: Site, model: str, version: str) -> str:
    """One prediction of a model, of a record made from its own schema."""
    address = f"{site.api_url}/models/{quote(model)}"
    schema = _ask(f"{address}/schema").expect(200).json
    asked = _ask(f"{address}/predict", json.dumps(example_of(schema)).encode())
    if not site.prediction_open:
        asked.expect(*REFUSED)
        return f"{asked.url}: refuses who has no credentials"
    found = asked.expect(200).json
    prediction, classes = found["prediction"], schema["x-perennial"]["classes"]
    right = str(prediction) in map(str, classes) if classes else math.isfinite(float(prediction))
    if not right or found["model"]["name"] != model:
        raise SmokeTestError(f"{asked.url}: answered {str(prediction)[:80]!r} of {found['model']['name']}.")
    served = found["model"]["version"]
    return f"{asked.url}: {prediction} by version {served}" + ("" if served == version else f", after {version}")


def _load(page_url: str) -> None:
    """The page, and what it names beside itself."""
    page = _ask(page_url).expect(200)
    if page.media_type != "text/html" or not re.search(rb"<html", page.body, re.IGNORECASE):
        raise SmokeTestError(f"{page_url}: is no page, but {page.media_type}.")
    names = _Names()
    names.feed(page.body.decode(errors="replace"))
    for name in names.found:
        _ask(urljoin(page_url, name)).expect(200)


class _Names(HTMLParser):
    """What a page needs from beside itself: scripts, styles, pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs).get("href" if tag == "link" else "src" if tag in ("script", "img") else "")
        if named and not re.match(r"[a-z]+:|//|#", named):
            self.found.append(named)


def _ask(url: str, body: bytes | None = None) -> Answer:
    request = urllib.request.Request(url, data=body)  # noqa: S310 - the addresses of our own stack
    if body is not None:
        request.add_header("Content-Type", "application/json")
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
            return Answer(url, answer.status, answer.headers.get_content_type(), answer.read())
    except urllib.error.HTTPError as error:
        with error:
            return Answer(url, error.code, error.headers.get_content_type(), error.read())
    except (OSError, HTTPException) as error:
        raise SmokeTestError(f"{url}: no answer: {error}") from error
