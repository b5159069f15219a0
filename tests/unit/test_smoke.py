"""The smoke test against an endpoint that answers anything at all: whatever is wrong leads to the way back."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from perennial.datasets.landing import land
from perennial.errors import SmokeTestError
from perennial.jobs import smoke, steps
from perennial.jobs.cycle import run_cycle
from perennial.jobs.workspace import Workspace
from perennial.spec_source import parse_spec
from perennial.store import Store, memory_store
from tests.support.shop import SPEC, write_rows

NOW = datetime(2026, 11, 21, tzinfo=UTC)
Answers = Callable[[str], bytes]


@contextmanager
def endpoint(answers: Answers) -> Iterator[str]:
    """An API that says what it is told to: ``answers`` gets GET or POST."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer("GET")

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer("POST")

        def _answer(self, method: str) -> None:
            data = answers(method)
            self.send_response(200)
            self.send_header("Content-Length", str(len(data) + (data == CUT)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, *given: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


CUT = b'{"generation": 1'
SERVES = b'{"generation": 1}'


@pytest.fixture(scope="module")
def promoted(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    store: Store = memory_store()
    spec = parse_spec(SPEC)
    land(store, spec, write_rows(tmp_path_factory.mktemp("shop") / "first.csv", 300, 1))
    w = Workspace(spec, store, "one", "0123abc", None, lambda line: None, lambda: NOW)
    assert run_cycle(w).promoted
    return w


def at(w: Workspace, url: str) -> Workspace:
    return Workspace(w.spec, w.store, w.run, w.code, url, w.progress, w.now)


def right(w: Workspace) -> dict[str, Any]:
    """What a sound endpoint says of the row that is asked."""
    from perennial.datasets.load import load_split
    from perennial.jobs.state import dataset_of
    from perennial.serving.load import load

    version = steps.promote(w).version
    predictor = load(w.store, w.spec.name, version)
    record = smoke.record_of(w, load_split(w.store, w.spec, dataset_of(w), "holdout"))
    found = predictor.predict([predictor.schema.validate(record)])[0]
    return {"prediction": found.prediction, "probabilities": found.probabilities, "model": {"version": version}}


def test_an_endpoint_that_says_the_same_passes(promoted: Workspace) -> None:
    answer = json.dumps(right(promoted)).encode()
    with endpoint(lambda method: SERVES if method == "GET" else answer) as url:
        assert steps.smoke(at(promoted, url)).endpoint == f"{url}/models/shop"


@pytest.mark.parametrize(
    "change",
    [
        {"prediction": 7},
        {"prediction": None},
        {"probabilities": None},
        {"probabilities": {"yes": "much", "no": 0}},
        {"probabilities": [0.5, 0.5]},
        {"model": "a name"},
        {"model": {"version": "another"}},
    ],
)
def test_an_answer_of_any_other_shape_fails(promoted: Workspace, change: dict[str, Any]) -> None:
    answer = json.dumps({**right(promoted), **change}).encode()
    with endpoint(lambda method: SERVES if method == "GET" else answer) as url, pytest.raises(SmokeTestError):
        steps.smoke(at(promoted, url))


@pytest.mark.parametrize("answer", [b"[]", b"null", b"<html>", b"", b'{"generation": null}', b'{"generation": 0}', CUT])
def test_an_endpoint_that_never_comes_to_serve_the_version_fails(
    promoted: Workspace, answer: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smoke, "PATIENCE_SECONDS", 0.2)
    monkeypatch.setattr(smoke, "PAUSE_SECONDS", 0.1)
    with endpoint(lambda method: answer) as url, pytest.raises(SmokeTestError, match="does not serve generation 1"):
        steps.smoke(at(promoted, url))


def test_an_address_that_is_none_fails(promoted: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smoke, "PATIENCE_SECONDS", 0.1)
    with pytest.raises(SmokeTestError):
        steps.smoke(at(promoted, "http://127.0.0.1:1 0/"))
